// Instance masks on a card: targets cut out of them, and run lengths of those predicted; defined in
// kernels/crop-mask-targets.cc and masks-to-rle.cc.
#include "arithmetic/mask-paste.h"
#include "device-operators.h"
#include "kernels/mask-arguments.h"
#include "launch.h"

#include <algorithm>
#include <tuple>
#include <vector>

namespace goshawk {
namespace {

/** Nothing is read back: what the CPU's kernel refuses by value gives zeros. */
at::Tensor crop_mask_targets_on_card(
    const at::Tensor& data, const at::Tensor& crops, const at::Tensor& rois, const at::Tensor& gt_index,
    int64_t image_height, int64_t image_width, int64_t resolution) {
  check_crop_mask_targets(data, crops, rois, gt_index, image_height, image_width, resolution);
  const at::Tensor bytes = data.contiguous();
  const at::Tensor table = crops.contiguous();
  const at::Tensor boxes = rois.to(at::kFloat).contiguous();
  const at::Tensor index = gt_index.contiguous();
  at::Tensor result = at::empty({boxes.size(0), resolution, resolution}, boxes.options());
  launch_kernel(
      {"crop-mask-targets", "crop_mask_targets", at::kFloat}, one_thread_each(result.numel()), result,
      bytes.data_ptr<uint8_t>(), bytes.size(0), table.data_ptr<int64_t>(), table.size(0), boxes.data_ptr<float>(),
      index.data_ptr<int64_t>(), result.numel(), static_cast<int>(image_height), static_cast<int>(image_width),
      static_cast<int>(resolution), result.data_ptr<float>());
  return result;
}

/** Bits of pasted images that lie on the card at a time: 256 MB. */
constexpr int64_t kPastedBits = int64_t{1} << 31;

/** Run lengths of all masks and where those of each begin, and end. The host waits once, for how many there are. */
std::tuple<at::Tensor, at::Tensor> pasted_runs(
    const at::Tensor& masks, const at::Tensor& boxes, const PasteRule& rule) {
  const int64_t count = masks.size(0);
  const int64_t area = rule.height * rule.width;
  const int64_t words = (area + 31) / 32;
  const auto options = masks.options();
  const at::Tensor bits = at::empty({count, words}, options.dtype(at::kInt));
  auto* const data = reinterpret_cast<uint32_t*>(bits.data_ptr<int>());
  launch_kernel(
      {"masks-to-rle", "paste_masks", at::kFloat},
      {static_cast<unsigned>((area + 255) / 256), 256, static_cast<unsigned>(count)}, bits, masks.data_ptr<float>(),
      boxes.data_ptr<float>(), static_cast<int>(masks.size(1)), rule, static_cast<int>(words), data);
  const at::Tensor runs = at::empty({count}, options.dtype(at::kLong));
  const LaunchShape block_a_mask{static_cast<unsigned>(count), static_cast<unsigned>(std::min<int64_t>((words + 31) / 32 * 32, 1024))};
  launch_kernel(
      {"masks-to-rle", "count_mask_runs", at::kFloat}, block_a_mask, bits, data, static_cast<int>(words), area,
      runs.data_ptr<int64_t>());
  at::Tensor offsets = at::zeros({count + 1}, options.dtype(at::kLong));
  offsets.narrow(0, 1, count).copy_(runs.cumsum(0));
  at::Tensor counts = at::empty({offsets[count].item<int64_t>()}, options.dtype(at::kInt));
  launch_kernel(
      {"masks-to-rle", "write_mask_runs", at::kFloat}, block_a_mask, bits, data, static_cast<int>(words), area,
      offsets.data_ptr<int64_t>(), counts.data_ptr<int>());
  return {counts, offsets};
}

std::tuple<at::Tensor, at::Tensor> masks_to_rle_on_card(
    const at::Tensor& masks, const at::Tensor& boxes, int64_t height, int64_t width, double threshold, bool strict,
    int64_t padding) {
  check_masks_to_rle(masks, boxes, height, width, padding);
  const at::Tensor probabilities = masks.to(at::kFloat).contiguous();
  const at::Tensor corners = boxes.to(at::kFloat).contiguous();
  const int64_t count = masks.size(0);
  const PasteRule rule{height, width, static_cast<float>(threshold), strict, padding};
  const int64_t at_once = std::clamp<int64_t>(kPastedBits / (height * width), 1, 65535);
  if (count == 0) {
    const auto options = probabilities.options();
    return {at::empty({0}, options.dtype(at::kInt)), at::zeros({1}, options.dtype(at::kLong))};
  }
  if (count <= at_once) {
    return pasted_runs(probabilities, corners, rule);
  }
  std::vector<at::Tensor> counts;
  std::vector<at::Tensor> offsets;
  int64_t before = 0;
  for (int64_t from = 0; from < count; from += at_once) {
    const int64_t size = std::min(at_once, count - from);
    const auto [own, ends] =
        pasted_runs(probabilities.narrow(0, from, size), corners.narrow(0, from, size), rule);
    counts.push_back(own);
    offsets.push_back((from == 0 ? ends : ends.narrow(0, 1, size)) + before);
    before += own.size(0);
  }
  return {at::cat(counts), at::cat(offsets)};
}

} // namespace

void implement_masks(torch::Library& m) {
  m.impl("crop_mask_targets", TORCH_FN(crop_mask_targets_on_card));
  m.impl("masks_to_rle", TORCH_FN(masks_to_rle_on_card));
}

} // namespace goshawk
