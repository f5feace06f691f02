// RoIPool and its gradient; definition in kernels/roi-pool.cc and arithmetic/roi-bins.h. One thread a value of the output, which
// lies in memory as the input does. A RoI whose image is not there reads nothing.
#include "arithmetic/roi-bins.h"
#include "device/code/fixed-point.cuh"
#include "device/roi-maps.h"

namespace goshawk {

/** What the value at place `i` of the output is of. */
struct PooledPlace {
  int64_t roi;
  int row;
  int column;
  int channel;
};

__device__ inline PooledPlace pooled_place(const RoiMaps& maps, const RoiBins& bins, int64_t i) {
  PooledPlace place;
  const int bin_count = bins.height * bins.width;
  int bin;
  if (maps.channels_last != 0) {
    const int64_t cell = i / maps.channels;
    place.channel = static_cast<int>(i - cell * maps.channels);
    place.roi = cell / bin_count;
    bin = static_cast<int>(cell - place.roi * bin_count);
  } else {
    const int64_t plane = i / bin_count;
    bin = static_cast<int>(i - plane * bin_count);
    place.roi = plane / maps.channels;
    place.channel = static_cast<int>(plane - place.roi * maps.channels);
  }
  place.row = bin / bins.width;
  place.column = bin - place.row * bins.width;
  return place;
}

/** Where pixel 0 of a RoI's image and channel lies, in values; -1: there is no such image. */
__device__ inline int64_t pooled_image(const RoiMaps& maps, const Wide* box, int channel) {
  if (!(box[0] >= Wide(0) && box[0] < static_cast<Wide>(maps.images[0]))) {
    return -1;
  }
  const int64_t area = static_cast<int64_t>(maps.height[0]) * maps.width[0];
  const int64_t image = static_cast<int64_t>(box[0]) * area * maps.channels;
  return image + (maps.channels_last != 0 ? channel : channel * area);
}

GOSHAWK_KERNEL void roi_pool_maxima(
    RoiMaps maps, RoiBins bins, const Wide* boxes, int64_t count, Scalar* out, int* argmax) {
  const Wide scale = static_cast<Wide>(maps.scale[0]);
  const int64_t pixel_step = maps.channels_last != 0 ? maps.channels : 1;
  for (int64_t i = thread_number(); i < count; i += thread_count()) {
    const PooledPlace place = pooled_place(maps, bins, i);
    const Wide* box = boxes + place.roi * 5;
    const int64_t image = pooled_image(maps, box, place.channel);
    const PixelRange rows = bin_pixels(
        rounded_end(box[2], scale), rounded_end(box[4], scale), place.row, bins.height, maps.height[0]);
    const PixelRange columns = bin_pixels(
        rounded_end(box[1], scale), rounded_end(box[3], scale), place.column, bins.width, maps.width[0]);
    const bool is_empty = image < 0 || rows.end <= rows.begin || columns.end <= columns.begin;
    Wide best = is_empty ? Wide(0) : lowest_finite<Wide>();
    int where = -1;
    if (!is_empty) {
      const Scalar* values = static_cast<const Scalar*>(maps.data[0]) + image;
      for (int y = rows.begin; y < rows.end; ++y) {
        for (int x = columns.begin; x < columns.end; ++x) {
          const int pixel = y * maps.width[0] + x;
          const Wide value = widen(values[pixel * pixel_step]);
          // The first of several equal ones.
          where = value > best ? pixel : where;
          best = value > best ? value : best;
        }
      }
    }
    out[i] = narrow<Scalar>(best);
    argmax[i] = where;
  }
}

/** Calls add(place in the sums, value) for what each bin returns. */
template <typename Add>
__device__ inline void roi_pool_return(
    const RoiMaps& maps, const RoiBins& bins, const Wide* boxes, int64_t count, const Scalar* gradient,
    const int* argmax, Add add) {
  const int64_t area = static_cast<int64_t>(maps.height[0]) * maps.width[0];
  const int64_t pixel_step = maps.channels_last != 0 ? maps.channels : 1;
  for (int64_t i = thread_number(); i < count; i += thread_count()) {
    const PooledPlace place = pooled_place(maps, bins, i);
    const int64_t image = pooled_image(maps, boxes + place.roi * 5, place.channel);
    if (image >= 0 && argmax[i] >= 0 && argmax[i] < area) {
      add(image + argmax[i] * pixel_step, widen(gradient[i]));
    }
  }
}

/** `maps` are the sums. */
GOSHAWK_KERNEL void roi_pool_gradient(
    RoiMaps maps, RoiBins bins, const Wide* boxes, int64_t count, const Scalar* gradient, const int* argmax) {
  Wide* sums = static_cast<Wide*>(maps.data[0]);
  roi_pool_return(maps, bins, boxes, count, gradient, argmax, [&](int64_t at, Wide value) {
    atomicAdd(sums + at, value);
  });
}

/** Into sums in fixed point (fixed-point.cuh). */
GOSHAWK_KERNEL void roi_pool_gradient_fixed(
    RoiMaps maps, RoiBins bins, const Wide* boxes, int64_t count, const Scalar* gradient, const int* argmax,
    const double* peak, int term_bits) {
  unsigned long long* sums = static_cast<unsigned long long*>(maps.data[0]);
  const double unit_share = ldexp(1.0, fixed_point_exponent(*peak, term_bits));
  roi_pool_return(maps, bins, boxes, count, gradient, argmax, [&](int64_t at, Wide value) {
    add_fixed_point(sums + at, value, unit_share);
  });
}

} // namespace goshawk
