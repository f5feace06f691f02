// Sigmoid focal loss on a card; defined in kernels/focal-loss.cc. Nothing is read back.
#include "device-operators.h"
#include "device/code/focal-problem.h"
#include "kernels/focal-loss.h"
#include "launch.h"

#include <cstdint>
#include <tuple>

namespace goshawk {
namespace {

/** A target that is no class counts as none of them: only the CPU's kernel looks at the values beforehand. */
std::tuple<at::Tensor, at::Tensor> focal_loss_on_card(
    const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& weights, double alpha, double gamma,
    bool with_gradient) {
  check_focal_loss(logits, targets, weights, alpha, gamma);
  const at::ScalarType type = logits.scalar_type();
  const bool is_double = type == at::kDouble;
  const auto options = logits.options();
  const int64_t images = targets.size(0);
  const int64_t rows = targets.size(1);
  if (targets.numel() == 0) {
    return {at::zeros({}, options.dtype(at::kFloat)), at::zeros_like(logits)};
  }
  const int64_t classes = logits.numel() / targets.numel();
  TORCH_CHECK(
      images < 65536 && rows < (1 << 30) && classes < (1 << 22), "sigmoid_focal_loss: [", images, ", ", rows, ", ",
      classes, "] logits are too many for one call");
  // Channels last, the maps' memory is [N, anchors, classes] already.
  const at::Tensor values =
      logits.dim() == 4 ? logits.contiguous(at::MemoryFormat::ChannelsLast) : logits.contiguous();
  const at::Tensor target = targets.contiguous();
  const at::Tensor weight = weights.to(at::kDouble).contiguous();
  at::Tensor gradient = with_gradient ? at::empty_like(values) : at::empty({0}, options);
  const FocalProblem problem{
      target.data_ptr<int64_t>(), weight.data_ptr<double>(), static_cast<int>(rows), static_cast<int>(classes),
      static_cast<int>(kFocalRows), alpha, gamma};
  const auto blocks = static_cast<unsigned>((rows + kFocalRows - 1) / kFocalRows);
  const at::Tensor partial = at::empty({images, blocks}, options.dtype(at::kDouble));
  // Four values at a time, where every image begins at a multiple of that.
  const uint64_t bytes = 4 * values.element_size();
  void* const slopes = with_gradient ? gradient.data_ptr() : nullptr;
  const bool is_aligned = rows * classes % 4 == 0 && reinterpret_cast<uintptr_t>(values.data_ptr()) % bytes == 0 &&
      reinterpret_cast<uintptr_t>(slopes) % bytes == 0;
  launch_kernel(
      {"focal-loss", "focal_loss_pass", type}, {blocks, 256, static_cast<unsigned>(images)}, values, problem,
      values.data_ptr(), slopes, is_aligned ? 1 : 0, partial.data_ptr<double>());
  at::Tensor loss = at::empty({}, options.dtype(is_double ? at::kDouble : at::kFloat));
  launch_kernel(
      {"focal-loss", "focal_loss_total", type}, {1, 256}, values, partial.data_ptr<double>(), partial.numel(),
      loss.data_ptr());
  return {loss, gradient};
}

} // namespace

void implement_focal_loss(torch::Library& m) {
  m.impl("sigmoid_focal_loss_and_gradient", TORCH_FN(focal_loss_on_card));
}

} // namespace goshawk
