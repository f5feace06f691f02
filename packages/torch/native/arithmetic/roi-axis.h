// The sampling points of RoIAlign (He et al., Mask R-CNN, 2017, section 3) along one axis.
#pragma once

#include "arithmetic/both.h"

namespace goshawk {

/** Where the bins of one RoI lie on one axis of a feature map, and how often each is sampled. */
template <typename F>
struct RoiAxis {
  F start;
  F bin_length;
  /** Of each bin; 0: the RoI reads nothing. */
  int32_t samples;
  /** Pixels of the map. */
  int32_t size;
};

/** A sample lies between pixels `low` and low + 1, `high_share` of the way; it reads low alone where that is 0. */
template <typename F>
struct AxisSample {
  int32_t low;
  F high_share;
};

/**
 * `bins` bins between `begin` and `finish` (image coordinates) on an axis of `size` pixels. sampling_ratio <= 0 takes
 * ceil(bin length) samples a bin. A non-finite RoI reads nothing. Coordinates follow torchvision's order of operations in F,
 * because ceil() and the tests at the border turn a different rounding into a different result.
 */
template <typename F>
GOSHAWK_BOTH RoiAxis<F> roi_axis(
    F begin, F finish, F scale, bool aligned, int32_t bins, int32_t sampling_ratio, int32_t size) {
  const F offset = aligned ? F(0.5) : F(0);
  const F start = begin * scale - offset;
  const F stop = finish * scale - offset;
  F length = stop - start;
  if (!aligned) {
    length = length < F(1) ? F(1) : length;
  }
  RoiAxis<F> axis;
  axis.start = start;
  axis.bin_length = length / static_cast<F>(bins);
  axis.size = size;
  axis.samples = 0;
  // A difference to itself of what is not finite is NaN.
  if (start - start == F(0) && length - length == F(0)) {
    const F adaptive = ceil(axis.bin_length);
    const F most = F(1 << 30);
    axis.samples = sampling_ratio > 0 ? sampling_ratio
                                      : static_cast<int32_t>(adaptive > F(0) ? (adaptive < most ? adaptive : most) : F(0));
  }
  return axis;
}

/**
 * The samples of bin `bin` that can touch the map: [from, to). Narrows those of a very long bin to the ones near the map, so
 * that its cost is bounded by the map's size.
 */
template <typename F>
GOSHAWK_BOTH void samples_near_map(const RoiAxis<F>& axis, int32_t bin, int32_t& from, int32_t& to) {
  from = 0;
  to = axis.samples;
  if (axis.samples <= 64) {
    return;
  }
  const double bin_start = static_cast<double>(axis.start) + static_cast<double>(bin) * axis.bin_length;
  const double step = static_cast<double>(axis.bin_length) / static_cast<double>(axis.samples);
  if (!(step > 0)) {
    return;
  }
  // Coordinates in F round by up to 1e-7 of their magnitude: the margin keeps every sample that could land inside.
  const double margin = 2.0 + 1e-6 * fabs(bin_start) / step;
  const double last = static_cast<double>(to);
  const double low = floor((-1.0 - bin_start) / step - margin);
  const double high = ceil((static_cast<double>(axis.size) - bin_start) / step + margin);
  from = static_cast<int32_t>(low > 0 ? (low < last ? low : last) : 0);
  to = static_cast<int32_t>(high > 0 ? (high < last ? high : last) : 0);
}

/** Sample `i` of bin `bin`; false where it lies below -1 or above the axis' size, and counts as a zero. */
template <typename F>
GOSHAWK_BOTH bool sample_axis(const RoiAxis<F>& axis, int32_t bin, int32_t i, AxisSample<F>& sample) {
  const F at = axis.start + static_cast<F>(bin) * axis.bin_length +
      (static_cast<F>(i) + F(0.5)) * axis.bin_length / static_cast<F>(axis.samples);
  if (!(at >= F(-1) && at <= static_cast<F>(axis.size))) {
    return false;
  }
  const F clamped = at < F(0) ? F(0) : at;
  sample.low = static_cast<int32_t>(clamped);
  sample.high_share = clamped - static_cast<F>(sample.low);
  if (sample.low >= axis.size - 1) {
    sample.low = axis.size - 1;
    sample.high_share = F(0);
  }
  return true;
}

} // namespace goshawk
