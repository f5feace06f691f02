// How the kernels of half-conv.h read maps and weights: as if a map's rows were one after another with `reach` zeros between, and `reach`
// rows of zeros between pictures. Then a tap of the kernel is the same distance for all pixels, and 16 pixels in a row are the rows of a
// matrix wherever they begin.
#pragma once

#include "half-conv.h"

#if defined(GOSHAWK_MATRIX_TILES)

namespace goshawk::half_conv {

using tiles::Half;
using tiles::kDepth;
using tiles::kSide;
using tiles::kSquare;
using tiles::kValues;
using tiles::lanes_below;

inline int64_t rounded_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/** A map's pixels, some of them where the stride is above 1. */
struct Pixels {
  Half* values;
  int64_t images, channels, height, width;
  /** Values from one to the next. */
  int64_t image_step, row_step, pixel_step;

  Pixels(const at::Tensor& map, int64_t stride)
      : values(reinterpret_cast<Half*>(map.data_ptr<at::BFloat16>())), images(map.size(0)), channels(map.size(1)),
        height((map.size(2) - 1) / stride + 1), width((map.size(3) - 1) / stride + 1),
        image_step(map.size(2) * map.size(3) * channels), row_step(stride * map.size(3) * channels),
        pixel_step(stride * channels) {}

  Half* at(int64_t image, int64_t row, int64_t column) const {
    return values + image * image_step + row * row_step + column * pixel_step;
  }
};

/** The rows of a map, with the zeros between. */
struct Rows {
  int64_t reach, height, width, images;

  Rows(const Pixels& map, int64_t reach) : reach(reach), height(map.height), width(map.width), images(map.images) {}

  /** Pixels from row to row. */
  int64_t step() const {
    return width + reach;
  }
  int64_t count() const {
    return images * (height + reach);
  }
  /** Whether the row is a picture's; -reach, ..., count() - 1 + reach. */
  bool is_real(int64_t row) const {
    return row >= 0 && row < count() && row % (height + reach) < height;
  }
  Half* of(const Pixels& map, int64_t row) const {
    return map.at(row / (height + reach), row % (height + reach), 0);
  }
};

inline std::vector<at::Tensor> by_pixel(at::TensorList maps) {
  std::vector<at::Tensor> result;
  for (const at::Tensor& map : maps) {
    result.push_back(map.contiguous(at::MemoryFormat::ChannelsLast));
  }
  return result;
}

/** The taps' distances in pixels, turned round: those of the gradient. */
inline std::vector<int64_t> distances(const Shape& shape, int64_t row_step, bool turned) {
  std::vector<int64_t> result;
  const int64_t half = shape.side / 2;
  for (int64_t y = -half; y <= half; ++y) {
    for (int64_t x = -half; x <= half; ++x) {
      result.push_back((turned ? -1 : 1) * shape.dilation * (y * row_step + x));
    }
  }
  return result;
}

/** A weight in float32 as it lies, [out][tap][in]. */
struct Weight {
  at::Tensor held, factors;
  const float* values;
  /** Of each output, or null. */
  const float* scale;
  int64_t out, in, taps;

  Weight(const at::Tensor& weight, const at::Tensor& scale)
      : held(weight.contiguous(at::MemoryFormat::ChannelsLast)),
        factors(scale.defined() ? scale.contiguous() : scale), values(held.data_ptr<float>()),
        scale(scale.defined() ? factors.data_ptr<float>() : nullptr), out(weight.size(0)), in(weight.size(1)),
        taps(weight.size(2) * weight.size(3)) {}

  const float* row(int64_t output, int64_t tap) const {
    return values + (output * taps + tap) * in;
  }
  __m512 factor(int64_t output) const {
    return _mm512_set1_ps(scale ? scale[output] : 1.0f);
  }
};

} // namespace goshawk::half_conv

#endif
