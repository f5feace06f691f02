// Where a predicted mask of M x M probabilities lies in the image (He et al., Mask R-CNN, 2017, section 3.1), and which pixels of
// the image belong to it. The definition is that of kernels/masks-to-rle.cc.
#pragma once

#include "arithmetic/both.h"

namespace goshawk {

struct PasteRule {
  int64_t height;
  int64_t width;
  float threshold;
  bool strict;
  int64_t padding;

  GOSHAWK_BOTH bool keeps(float value) const {
    return strict ? value > threshold : value >= threshold;
  }

  /** Between two values this far away from the threshold on one side, rounding cannot cross it. */
  GOSHAWK_BOTH float margin() const {
    const float size = threshold < 0.0f ? -threshold : threshold;
    return 1e-5f * (size > 1.0f ? size : 1.0f);
  }
};

/** A box in whole pixels; its last row and column belong to it. */
struct PixelBox {
  int64_t x1, y1, x2, y2;

  GOSHAWK_BOTH int64_t width() const {
    return x2 - x1 + 1 > 1 ? x2 - x1 + 1 : 1;
  }
  GOSHAWK_BOTH int64_t height() const {
    return y2 - y1 + 1 > 1 ? y2 - y1 + 1 : 1;
  }
};

/** The pixels of the image that a mask can reach. */
struct PasteArea {
  int64_t left, top, right, bottom;

  GOSHAWK_BOTH bool empty() const {
    return left >= right || top >= bottom;
  }
};

/** Where one output pixel of an axis reads the source: as at::upsample_bilinear2d with align_corners=False. */
struct PasteTap {
  int64_t low;
  int64_t high;
  float high_weight;
};

/** `at`: pixel of `size`. */
GOSHAWK_BOTH PasteTap paste_tap(int64_t at, int64_t size, int64_t source_size) {
  const float scale = static_cast<float>(source_size) / static_cast<float>(size);
  const float centre = scale * (static_cast<float>(at) + 0.5f) - 0.5f;
  const float source = centre > 0.0f ? centre : 0.0f;
  const int64_t whole = static_cast<int64_t>(source);
  const int64_t low = whole < source_size - 1 ? whole : source_size - 1;
  return {low, low + (low < source_size - 1 ? 1 : 0), source - static_cast<float>(low)};
}

/** Whether all four coordinates are finite: a difference to itself of what is not is NaN. */
GOSHAWK_BOTH bool is_finite_box(const float* box) {
  return box[0] - box[0] == 0.0f && box[1] - box[1] == 0.0f && box[2] - box[2] == 0.0f && box[3] - box[3] == 0.0f;
}

GOSHAWK_BOTH int64_t truncated(float value) {
  // Far outside of any image already; keeps the conversion and the sums below defined, for a difference of infinities too.
  constexpr float kFar = 1e12f;
  return static_cast<int64_t>(value > kFar ? kFar : value >= -kFar ? value : -kFar);
}

/** The box of a mask with its border of `padding` cells. */
GOSHAWK_BOTH PixelBox expanded_box(const float* box, int64_t resolution, int64_t padding) {
  if (padding == 0) {
    return {truncated(box[0]), truncated(box[1]), truncated(box[2]), truncated(box[3])};
  }
  const float scale =
      static_cast<float>(static_cast<double>(resolution + 2 * padding) / static_cast<double>(resolution));
  const float half_width = (box[2] - box[0]) * 0.5f * scale;
  const float half_height = (box[3] - box[1]) * 0.5f * scale;
  const float center_x = (box[2] + box[0]) * 0.5f;
  const float center_y = (box[3] + box[1]) * 0.5f;
  return {
      truncated(center_x - half_width), truncated(center_y - half_height), truncated(center_x + half_width),
      truncated(center_y + half_height)};
}

GOSHAWK_BOTH PasteArea paste_area(const PixelBox& box, const PasteRule& rule) {
  return {
      box.x1 > 0 ? box.x1 : 0, box.y1 > 0 ? box.y1 : 0, box.x2 + 1 < rule.width ? box.x2 + 1 : rule.width,
      box.y2 + 1 < rule.height ? box.y2 + 1 : rule.height};
}

} // namespace goshawk
