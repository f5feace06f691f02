// RoIAlign of binary masks that are stored as crops, as kernels/crop-mask-targets.cc defines it, to the bit: a thread an output.
#include "device/code/scalar.cuh"

#include "arithmetic/mask-crop.h"
#include "arithmetic/roi-axis.h"

namespace goshawk {

/** The pixels that a bin of an axis reads, in order, each once with the weight of all its samples. */
template <typename Visit>
__device__ inline void visit_bin_pixels(const RoiAxis<float>& axis, int bin, Visit visit) {
  const float share = 1.0f / static_cast<float>(axis.samples);
  int pixel = -1;
  float weight = 0.0f;
  // Of the pixel behind it, which is read where `reads_next`.
  float next = 0.0f;
  bool reads_next = false;
  int from = 0;
  int to = 0;
  samples_near_map(axis, bin, from, to);
  for (int i = from; i < to; ++i) {
    AxisSample<float> sample;
    if (!sample_axis(axis, bin, i, sample)) {
      continue;
    }
    if (sample.low != pixel) {
      const bool is_next = sample.low == pixel + 1;
      if (pixel >= 0) {
        visit(pixel, weight);
        if (reads_next && !is_next) {
          visit(pixel + 1, next);
        }
      }
      weight = pixel >= 0 && is_next ? next : 0.0f;
      pixel = sample.low;
      next = 0.0f;
      reads_next = false;
    }
    weight += (1.0f - sample.high_share) * share;
    if (sample.high_share > 0.0f) {
      next += sample.high_share * share;
      reads_next = true;
    }
  }
  if (pixel >= 0) {
    visit(pixel, weight);
    if (reads_next) {
      visit(pixel + 1, next);
    }
  }
}

/**
 * A crop that leaves the image or the data, and an index that is none, which the CPU's kernel refuses, give zeros here: nothing
 * outside of the data is read.
 */
GOSHAWK_KERNEL void crop_mask_targets(
    const uint8_t* data, int64_t bytes, const int64_t* crops, int64_t crop_count, const float* rois,
    const int64_t* gt_index, int64_t total, int image_height, int image_width, int resolution, float* out) {
  for (int64_t at = thread_number(); at < total; at += thread_count()) {
    const int64_t roi = at / (resolution * resolution);
    const int cell = static_cast<int>(at - roi * (resolution * resolution));
    const int64_t owner = gt_index[roi];
    float sum = 0.0f;
    const int64_t* crop = crops + owner * 5;
    if (owner >= 0 && owner < crop_count && crop_is_in_image(crop, image_height, image_width) &&
        crop_is_in_data(crop, bytes)) {
      const float* box = rois + roi * 4;
      const RoiAxis<float> rows = roi_axis(box[1], box[3], 1.0f, false, resolution, 0, image_height);
      const RoiAxis<float> columns = roi_axis(box[0], box[2], 1.0f, false, resolution, 0, image_width);
      const uint8_t* pixels = data + crop[0];
      const int left = static_cast<int>(crop[1]);
      const int top = static_cast<int>(crop[2]);
      const int width = static_cast<int>(crop[3]);
      const int height = static_cast<int>(crop[4]);
      if (rows.samples > 0 && columns.samples > 0) {
        visit_bin_pixels(columns, cell % resolution, [&](int x, float column_weight) {
          if (x < left || x - left >= width) {
            return;
          }
          float column = 0.0f;
          visit_bin_pixels(rows, cell / resolution, [&](int y, float row_weight) {
            if (y >= top && y - top < height) {
              column += row_weight * static_cast<float>(pixels[static_cast<int64_t>(y - top) * width + (x - left)]);
            }
          });
          sum += column_weight * column;
        });
      }
    }
    out[at] = sum;
  }
}

} // namespace goshawk
