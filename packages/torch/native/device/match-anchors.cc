// The assignment of boxes to objects on a card; defined in kernels/match-anchors.cc. Nothing is read back.
#include "device-operators.h"
#include "device/code/match-problem.h"
#include "kernels/matching.h"
#include "launch.h"

namespace goshawk {
namespace {

/** [images, boxes] int64. */
at::Tensor match_on_card(const MatchProblem& problem, int64_t images, const at::Tensor& boxes) {
  const auto options = boxes.options();
  at::Tensor result = at::empty({images, problem.box_count}, options.dtype(at::kLong));
  if (result.numel() == 0) {
    return result;
  }
  TORCH_CHECK(images < 65536, "match_batch: ", images, " images are too many for one call");
  const auto rows = static_cast<unsigned>(images);
  const auto blocks = [&problem](int64_t boxes_a_block) {
    return static_cast<unsigned>((problem.box_count + boxes_a_block - 1) / boxes_a_block);
  };
  at::Tensor best;
  if (problem.claims && problem.object_count > 0) {
    best = at::zeros({images, problem.object_count}, options.dtype(at::kInt));
    launch_kernel(
        {"match-anchors", "match_object_best", at::kFloat}, {blocks(1024), 256, rows}, result, problem,
        best.data_ptr<int>());
  }
  launch_kernel(
      {"match-anchors", "match_boxes", at::kFloat}, {blocks(256), 256, rows}, result, problem,
      static_cast<const int*>(best.defined() ? best.data_ptr<int>() : nullptr), result.data_ptr<int64_t>());
  return result;
}

int count_of(const at::Tensor& boxes, int64_t dimension) {
  const int64_t count = boxes.size(dimension);
  TORCH_CHECK(count < (1 << 30), "match_anchors: ", count, " boxes are too many for one call");
  return static_cast<int>(count);
}

const uint8_t* flags_of(const at::Tensor& flags) {
  return flags.defined() ? reinterpret_cast<const uint8_t*>(flags.data_ptr<bool>()) : nullptr;
}

at::Tensor match_anchors_on_card(
    const at::Tensor& gt_boxes, const at::Tensor& boxes, double low, double high, bool allow_low_quality,
    bool plus_one, bool last_claims) {
  check_match_anchors(gt_boxes, boxes, low, high);
  const at::Tensor objects = gt_boxes.to(at::kFloat).contiguous();
  const at::Tensor anchors = boxes.to(at::kFloat).contiguous();
  const MatchProblem problem{
      objects.data_ptr<float>(), nullptr, anchors.data_ptr<float>(), 0, nullptr, count_of(objects, 0),
      count_of(anchors, 0), static_cast<float>(low), static_cast<float>(high), plus_one ? 1.0f : 0.0f,
      allow_low_quality, last_claims, 0.0f};
  return match_on_card(problem, 1, anchors)[0];
}

at::Tensor match_batch_on_card(
    const at::Tensor& objects, const at::Tensor& present, const at::Tensor& boxes,
    const c10::optional<at::Tensor>& taking_part, double low, double high, bool allow_low_quality, bool plus_one,
    bool last_claims, double lowest_best_iou) {
  const bool has_flags = taking_part.has_value() && taking_part->defined();
  check_match_batch(objects, present, boxes, has_flags ? *taking_part : at::Tensor(), low, high);
  const at::Tensor truth = objects.to(at::kFloat).contiguous();
  const at::Tensor is_present = present.contiguous();
  const at::Tensor candidates = boxes.to(at::kFloat).contiguous();
  const at::Tensor flags = has_flags ? taking_part->contiguous() : at::Tensor();
  const MatchProblem problem{
      truth.data_ptr<float>(), flags_of(is_present), candidates.data_ptr<float>(),
      candidates.dim() == 3 ? candidates.size(1) * 4 : 0, flags_of(flags), count_of(truth, 1),
      count_of(candidates, candidates.dim() - 2), static_cast<float>(low), static_cast<float>(high),
      plus_one ? 1.0f : 0.0f, allow_low_quality, last_claims,
      static_cast<float>(lowest_best_iou > 0 ? lowest_best_iou : 0)};
  return match_on_card(problem, objects.size(0), candidates);
}

} // namespace

void implement_match_anchors(torch::Library& m) {
  m.impl("match_anchors", TORCH_FN(match_anchors_on_card));
  m.impl("match_batch", TORCH_FN(match_batch_on_card));
}

} // namespace goshawk
