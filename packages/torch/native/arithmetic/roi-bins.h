// The bins of RoIPool (Girshick, Fast R-CNN, 2015, section 2.1) along one axis: a RoI rounded to whole pixels, its bins
// overlapping by rounding outwards. Rounding as in torchvision and Caffe's original: end pixels included.
#pragma once

#include "arithmetic/both.h"

namespace goshawk {

struct PixelRange {
  int32_t begin;
  int32_t end;
};

/** Pixels of bin `bin` of `bins` between the rounded ends, cut to the map. */
template <typename F>
GOSHAWK_BOTH PixelRange bin_pixels(F start, F finish, int32_t bin, int32_t bins, int32_t size) {
  const F whole = finish - start + F(1);
  const F length = whole < F(1) ? F(1) : whole;
  const F bin_length = length / static_cast<F>(bins);
  const F limit = static_cast<F>(size);
  const F begin = static_cast<F>(floor(static_cast<F>(bin) * bin_length)) + start;
  const F end = static_cast<F>(ceil(static_cast<F>(bin + 1) * bin_length)) + start;
  // NaN and infinite RoIs fall out of the comparisons as empty ranges.
  PixelRange range;
  range.begin = begin > F(0) ? static_cast<int32_t>(limit < begin ? limit : begin) : 0;
  range.end = end > F(0) ? static_cast<int32_t>(limit < end ? limit : end) : 0;
  return range;
}

/** Where an end of a RoI lies on the map: the nearest pixel, halves away from zero. */
template <typename F>
GOSHAWK_BOTH F rounded_end(F coordinate, F scale) {
  return static_cast<F>(round(coordinate * scale));
}

/** What every finite value of the features exceeds or equals. */
template <typename F>
GOSHAWK_BOTH F lowest_finite();

template <>
GOSHAWK_BOTH float lowest_finite<float>() {
  return -3.402823466e+38f;
}

template <>
GOSHAWK_BOTH double lowest_finite<double>() {
  return -1.7976931348623157e+308;
}

} // namespace goshawk
