// What the kernels of RoIAlign and RoIPool share: checked arguments and the pyramid they describe.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

namespace goshawk {

/** One feature map: [images, channels, height, width], and the factor from image to map coordinates. */
struct RoiLevel {
  int64_t images;
  int64_t channels;
  int64_t height;
  int64_t width;
  double scale;
};

struct RoiAlignShape {
  int64_t pooled_height;
  int64_t pooled_width;
  int64_t sampling_ratio;
  bool aligned;
};

/** RoIs in plain memory: rows of (batch index, x1, y1, x2, y2) in F, and each one's level. */
template <typename F>
struct RoiList {
  at::Tensor boxes;
  at::Tensor levels;
  const F* box;
  const int64_t* level;
  int64_t count;
};

inline at::MemoryFormat format_of(bool channels_last) {
  return channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
}

/** Checks shapes and dtypes, which needs no look at values. Throws c10::Error. */
inline void check_roi_shapes(const char* op, const at::Tensor& rois, const at::Tensor& levels) {
  TORCH_CHECK(
      rois.dim() == 2 && rois.size(1) == 5 && at::isFloatingType(rois.scalar_type()), op,
      ": rois must be [K, 5] floating point, got ", rois.sizes(), " ", rois.scalar_type(),
      ": give batch index, x1, y1, x2, y2");
  TORCH_CHECK(
      levels.dim() == 1 && levels.size(0) == rois.size(0) && levels.scalar_type() == at::kLong, op,
      ": levels must be int64 [K] with K = ", rois.size(0), ", got ", levels.sizes(), " ", levels.scalar_type(),
      ": give each RoI the index of its feature map");
}

/** Checks rois and levels against the pyramid, so that the loops below need no checks. Throws c10::Error. */
template <typename F>
RoiList<F> check_rois(
    const char* op, const at::Tensor& rois, const at::Tensor& levels, const std::vector<RoiLevel>& pyramid) {
  check_roi_shapes(op, rois, levels);
  RoiList<F> list;
  list.boxes = rois.to(std::is_same_v<F, double> ? at::kDouble : at::kFloat).contiguous();
  list.levels = levels.contiguous();
  list.box = list.boxes.template data_ptr<F>();
  list.level = list.levels.template data_ptr<int64_t>();
  list.count = rois.size(0);
  const auto level_count = static_cast<int64_t>(pyramid.size());
  for (int64_t k = 0; k < list.count; ++k) {
    const int64_t level = list.level[k];
    TORCH_CHECK(
        level >= 0 && level < level_count, op, ": levels[", k, "] is ", level, ", but there are ", level_count,
        " feature maps");
    const F image = list.box[k * 5];
    const int64_t images = pyramid[static_cast<size_t>(level)].images;
    TORCH_CHECK(
        image >= 0 && image < static_cast<F>(images), op, ": rois[", k, "] has batch index ", image, ", but the input has ",
        images, " images");
  }
  return list;
}

/** NHWC where the memory already is; a single channel is the same in both and reads best as a plane. */
inline bool reads_channels_last(const at::Tensor& input) {
  return input.size(1) > 1 && input.suggest_memory_format() == at::MemoryFormat::ChannelsLast;
}

inline void check_roi_align_shape(const RoiAlignShape& shape) {
  TORCH_CHECK(
      shape.pooled_height > 0 && shape.pooled_width > 0, "roi_align: the output size must be positive, got ",
      shape.pooled_height, " x ", shape.pooled_width);
  // 1024 samples a bin and axis is far above any use and keeps a wrong argument from running for hours.
  TORCH_CHECK(
      shape.sampling_ratio <= 1024, "roi_align: sampling_ratio must be at most 1024, got ", shape.sampling_ratio,
      ": 2 is usual, 0 takes one sample a pixel");
}

/** A pyramid in one memory format. */
struct RoiInputs {
  std::vector<at::Tensor> maps;
  std::vector<RoiLevel> pyramid;
  bool channels_last;
};

inline RoiInputs check_roi_inputs(
    at::TensorList inputs, at::ArrayRef<double> spatial_scales, const RoiAlignShape& shape) {
  TORCH_CHECK(!inputs.empty(), "roi_align: no feature maps given");
  TORCH_CHECK(
      inputs.size() == spatial_scales.size(), "roi_align: ", inputs.size(), " feature maps but ", spatial_scales.size(),
      " spatial scales: give one scale a map");
  check_roi_align_shape(shape);
  RoiInputs result;
  result.channels_last = false;
  for (size_t l = 0; l < inputs.size(); ++l) {
    const at::Tensor& input = inputs[l];
    TORCH_CHECK(
        input.dim() == 4, "roi_align: input must be [N, C, H, W], got ", input.sizes(), " ", input.scalar_type());
    TORCH_CHECK(
        input.size(1) == inputs[0].size(1) && input.scalar_type() == inputs[0].scalar_type(),
        "roi_align: all feature maps must have the same channels and dtype, got ", inputs[0].sizes(), " ",
        inputs[0].scalar_type(), " and ", input.sizes(), " ", input.scalar_type());
    TORCH_CHECK(
        input.size(2) > 0 && input.size(3) > 0 && input.size(2) < INT32_MAX && input.size(3) < INT32_MAX,
        "roi_align: the feature map is empty or too large, got ", input.sizes());
    TORCH_CHECK(
        at::isFloatingType(input.scalar_type()) || input.scalar_type() == at::kByte,
        "roi_align: input must be float32, float64, bfloat16, float16 or uint8, got ", input.scalar_type());
    if (l == 0) {
      result.channels_last = reads_channels_last(input);
    }
    result.maps.push_back(input.contiguous(format_of(result.channels_last)));
    result.pyramid.push_back({input.size(0), input.size(1), input.size(2), input.size(3), spatial_scales[l]});
  }
  return result;
}

/** What the gradient of a pyramid is made for. */
struct RoiGradientShapes {
  std::vector<RoiLevel> pyramid;
  RoiAlignShape shape;
};

/** input_sizes holds the sizes of the feature maps one after the other, four numbers each. */
inline RoiGradientShapes check_roi_gradient(
    const at::Tensor& grad, const at::Tensor& rois, at::IntArrayRef input_sizes, at::ArrayRef<double> spatial_scales,
    int64_t sampling_ratio, bool aligned) {
  TORCH_CHECK(
      !spatial_scales.empty() && input_sizes.size() == spatial_scales.size() * 4,
      "roi_align_backward: input_sizes must hold four numbers a feature map, got ", input_sizes.size(), " for ",
      spatial_scales.size(), " maps");
  RoiGradientShapes result;
  for (size_t l = 0; l < spatial_scales.size(); ++l) {
    const int64_t* size = input_sizes.data() + l * 4;
    TORCH_CHECK(
        size[0] >= 0 && size[1] == input_sizes[1] && size[2] > 0 && size[3] > 0,
        "roi_align_backward: bad size of feature map ", l, ": ", at::IntArrayRef(size, 4));
    result.pyramid.push_back({size[0], size[1], size[2], size[3], spatial_scales[l]});
  }
  TORCH_CHECK(
      grad.dim() == 4 && grad.size(0) == rois.size(0) && grad.size(1) == input_sizes[1],
      "roi_align_backward: grad must be [K, C, height, width], got ", grad.sizes());
  TORCH_CHECK(
      at::isFloatingType(grad.scalar_type()), "roi_align_backward: grad must be floating point, got ",
      grad.scalar_type());
  result.shape = {grad.size(2), grad.size(3), sampling_ratio, aligned};
  check_roi_align_shape(result.shape);
  return result;
}

} // namespace goshawk
