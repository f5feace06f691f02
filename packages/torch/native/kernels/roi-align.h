// What the CPU kernels of RoIAlign and RoIPool share: checked arguments and the pyramid they describe.
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

/** Checks rois and levels against the pyramid, so that the loops below need no checks. Throws c10::Error. */
template <typename F>
RoiList<F> check_rois(
    const char* op, const at::Tensor& rois, const at::Tensor& levels, const std::vector<RoiLevel>& pyramid) {
  TORCH_CHECK(
      rois.dim() == 2 && rois.size(1) == 5 && at::isFloatingType(rois.scalar_type()), op,
      ": rois must be [K, 5] floating point, got ", rois.sizes(), " ", rois.scalar_type(),
      ": give batch index, x1, y1, x2, y2");
  TORCH_CHECK(
      levels.dim() == 1 && levels.size(0) == rois.size(0) && levels.scalar_type() == at::kLong, op,
      ": levels must be int64 [K] with K = ", rois.size(0), ", got ", levels.sizes(), " ", levels.scalar_type(),
      ": give each RoI the index of its feature map");
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

} // namespace goshawk
