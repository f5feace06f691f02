// RoIAlign on a card, for all maps of a pyramid by one launch; defined in kernels/roi-align.cc. Levels and images that are not
// there are not errors here, which would make the host wait: such a RoI gives zeros, and returns no gradient.
//
// 1,024 RoIs on 7 x 7 x 256 read at most 0.8 GB (in truth from the card's cache) and write 51 MB; the gradient adds as much.
#include "device-operators.h"
#include "fixed-point.h"
#include "kernels/roi-align.h"
#include "launch.h"
#include "roi-maps.h"

#include <algorithm>
#include <vector>

namespace goshawk {
namespace {

constexpr unsigned kRoiThreads = 256;
// Blocks that keep the largest cards busy; more rows of bins go to a block where there are more RoIs.
constexpr int64_t kEnoughBlocks = 2048;

/** Boxes and levels as kernels read them. */
struct RoisOnCard {
  at::Tensor boxes;
  at::Tensor levels;

  int64_t count() const {
    return boxes.size(0);
  }
};

RoisOnCard rois_on_card(const char* op, const at::Tensor& rois, const at::Tensor& levels, at::ScalarType type) {
  check_roi_shapes(op, rois, levels);
  return {rois.to(type == at::kDouble ? at::kDouble : at::kFloat).contiguous(), levels.contiguous()};
}

void add_map(RoiMaps& maps, void* data, const RoiLevel& level) {
  TORCH_CHECK(
      maps.count < kMostRoiMaps, "roi_align: a card takes at most ", kMostRoiMaps, " feature maps at once");
  TORCH_CHECK(
      level.height * level.width < INT32_MAX && level.channels < INT32_MAX && level.images < INT32_MAX,
      "roi_align: the feature map is too large, got ", level.height, " x ", level.width);
  maps.data[maps.count] = data;
  maps.scale[maps.count] = level.scale;
  maps.height[maps.count] = static_cast<int>(level.height);
  maps.width[maps.count] = static_cast<int>(level.width);
  maps.images[maps.count] = static_cast<int>(level.images);
  maps.channels = static_cast<int>(level.channels);
  ++maps.count;
}

RoiBins bins_of(const RoiAlignShape& shape, int64_t channels, int64_t rois) {
  TORCH_CHECK(
      shape.pooled_height * shape.pooled_width * channels < INT32_MAX - static_cast<int64_t>(kRoiThreads),
      "roi_align: the output is too large, got ", shape.pooled_height, " x ", shape.pooled_width, " x ", channels);
  const int64_t blocks = std::min(shape.pooled_height, std::max(int64_t{1}, kEnoughBlocks / rois));
  const int64_t rows = (shape.pooled_height + blocks - 1) / blocks;
  return {
      static_cast<int>(shape.pooled_height), static_cast<int>(shape.pooled_width),
      static_cast<int>(std::max(shape.sampling_ratio, int64_t{0})), shape.aligned ? 1 : 0, static_cast<int>(rows)};
}

LaunchShape roi_blocks(int64_t rois, const RoiBins& bins) {
  return {
      static_cast<unsigned>(rois), kRoiThreads,
      static_cast<unsigned>((bins.height + bins.rows_of_block - 1) / bins.rows_of_block)};
}

bool is_by_fours(const void* data) {
  return reinterpret_cast<uintptr_t>(data) % 16 == 0;
}

at::Tensor roi_align_on_card(
    at::TensorList inputs, const at::Tensor& rois, const at::Tensor& levels, at::ArrayRef<double> spatial_scales,
    int64_t pooled_height, int64_t pooled_width, int64_t sampling_ratio, bool aligned) {
  const RoiAlignShape shape{pooled_height, pooled_width, sampling_ratio, aligned};
  const RoiInputs read = check_roi_inputs(inputs, spatial_scales, shape);
  const bool is_byte = inputs[0].scalar_type() == at::kByte;
  const auto type = is_byte ? at::kFloat : inputs[0].scalar_type();
  const RoisOnCard list = rois_on_card("roi_align", rois, levels, type);
  at::Tensor output = at::empty(
      {list.count(), read.pyramid[0].channels, pooled_height, pooled_width}, inputs[0].options().dtype(type),
      format_of(read.channels_last));
  if (output.numel() == 0) {
    return output;
  }
  RoiMaps maps{};
  maps.channels_last = read.channels_last ? 1 : 0;
  std::vector<at::Tensor> kept;
  bool by_fours = read.channels_last && read.pyramid[0].channels % 4 == 0;
  for (size_t l = 0; l < read.maps.size(); ++l) {
    kept.push_back(read.maps[l].to(type));
    add_map(maps, kept.back().data_ptr(), read.pyramid[l]);
    by_fours = by_fours && is_by_fours(kept.back().data_ptr());
  }
  const RoiBins bins = bins_of(shape, maps.channels, list.count());
  launch_kernel(
      {"roi-align", by_fours ? "roi_align_by_fours" : "roi_align_one_by_one", type}, roi_blocks(list.count(), bins), output,
      maps, bins, list.boxes.data_ptr(), list.levels.data_ptr<int64_t>(), output.data_ptr());
  return output;
}

/** Where the sums of each map begin in one piece of memory, which one call fills with zeros. */
struct SumsLayout {
  std::vector<int64_t> begin;
  int64_t count = 0;

  explicit SumsLayout(const std::vector<RoiLevel>& pyramid) {
    for (const RoiLevel& level : pyramid) {
      begin.push_back(count);
      // A map begins at a multiple of 64 values, as tensors of their own do.
      count += (level.images * level.channels * level.height * level.width + 63) / 64 * 64;
    }
  }
};

std::vector<at::Tensor> roi_align_backward_on_card(
    const at::Tensor& grad, const at::Tensor& rois, const at::Tensor& levels, at::IntArrayRef input_sizes,
    at::ArrayRef<double> spatial_scales, int64_t sampling_ratio, bool aligned, bool channels_last, bool deterministic) {
  const RoiGradientShapes shapes =
      check_roi_gradient(grad, rois, input_sizes, spatial_scales, sampling_ratio, aligned);
  const std::vector<RoiLevel>& pyramid = shapes.pyramid;
  const RoiAlignShape& shape = shapes.shape;
  const auto type = grad.scalar_type();
  const auto wide = type == at::kDouble ? at::kDouble : at::kFloat;
  const RoisOnCard list = rois_on_card("roi_align_backward", rois, levels, type);
  const at::Tensor source = grad.contiguous(format_of(channels_last));
  const SumsLayout layout(pyramid);
  RoiMaps maps{};
  maps.channels_last = channels_last ? 1 : 0;
  const auto add_maps = [&](char* data, int64_t bytes) {
    for (size_t l = 0; l < pyramid.size(); ++l) {
      add_map(maps, data + layout.begin[l] * bytes, pyramid[l]);
    }
  };
  at::Tensor values;
  if (source.numel() == 0) {
    values = at::zeros({layout.count}, grad.options());
  } else {
    const RoiBins bins = bins_of(shape, pyramid[0].channels, list.count());
    const LaunchShape blocks = roi_blocks(list.count(), bins);
    if (deterministic) {
      const FixedPointSums sums =
          fixed_point_sums(source, layout.count, list.count() * shape.pooled_height * shape.pooled_width);
      add_maps(reinterpret_cast<char*>(sums.data()), sizeof(int64_t));
      launch_kernel(
          {"roi-align", "roi_align_gradient_fixed", type}, blocks, source, maps, bins, list.boxes.data_ptr(),
          list.levels.data_ptr<int64_t>(), source.data_ptr(), sums.peak.data_ptr<double>(), sums.term_bits);
      values = values_of(sums, type);
    } else {
      const at::Tensor sums = at::zeros({layout.count}, grad.options().dtype(wide));
      add_maps(static_cast<char*>(sums.data_ptr()), static_cast<int64_t>(sums.element_size()));
      launch_kernel(
          {"roi-align", "roi_align_gradient", type}, blocks, source, maps, bins, list.boxes.data_ptr(),
          list.levels.data_ptr<int64_t>(), source.data_ptr());
      values = sums.to(type);
    }
  }
  std::vector<at::Tensor> result;
  for (size_t l = 0; l < pyramid.size(); ++l) {
    const RoiLevel& level = pyramid[l];
    const int64_t area = level.height * level.width;
    const std::vector<int64_t> sizes{level.images, level.channels, level.height, level.width};
    const std::vector<int64_t> strides = channels_last
        ? std::vector<int64_t>{area * level.channels, 1, level.width * level.channels, level.channels}
        : std::vector<int64_t>{area * level.channels, area, level.width, 1};
    result.push_back(values.as_strided(sizes, strides, layout.begin[l]));
  }
  return result;
}

} // namespace

void implement_roi_align(torch::Library& m) {
  m.impl("roi_align_multilevel", TORCH_FN(roi_align_on_card));
  m.impl("roi_align_backward", TORCH_FN(roi_align_backward_on_card));
}

} // namespace goshawk
