#include "channel-sums.h"

#include <ATen/Parallel.h>
#include <c10/util/BFloat16.h>

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

namespace goshawk {
namespace {

/** Pixels a time: a channel's sums and factors stay in registers meanwhile. */
constexpr int64_t kBand = 8;
/** Parts of a sample: enough for many threads, few enough that their sums are small beside the maps. */
constexpr int64_t kMostParts = 64;
constexpr int64_t kLeastPart = 16384;

typedef float Floats __attribute__((vector_size(64)));
typedef float UnalignedFloats __attribute__((vector_size(64), aligned(4), may_alias));
typedef float HalfFloats __attribute__((vector_size(32)));
typedef float UnalignedHalfFloats __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint32_t Words __attribute__((vector_size(64)));
typedef uint32_t HalfWords __attribute__((vector_size(32)));
typedef uint16_t UnalignedShorts __attribute__((vector_size(32), aligned(2), may_alias));
typedef uint16_t UnalignedHalfShorts __attribute__((vector_size(16), aligned(2), may_alias));
typedef double Doubles __attribute__((vector_size(64)));
typedef double UnalignedDoubles __attribute__((vector_size(64), aligned(8), may_alias));

template <typename V>
constexpr int64_t lanes_of = std::is_same_v<V, Floats> ? 16 : 8;

[[gnu::always_inline]] inline void load(const float* from, Floats& into) {
  into = *reinterpret_cast<const UnalignedFloats*>(from);
}

[[gnu::always_inline]] inline void load(const c10::BFloat16* from, Floats& into) {
  const auto raw = *reinterpret_cast<const UnalignedShorts*>(from);
  into = reinterpret_cast<Floats>(__builtin_convertvector(raw, Words) << 16);
}

[[gnu::always_inline]] inline void load(const float* from, Doubles& into) {
  into = __builtin_convertvector(*reinterpret_cast<const UnalignedHalfFloats*>(from), Doubles);
}

[[gnu::always_inline]] inline void load(const c10::BFloat16* from, Doubles& into) {
  const auto raw = *reinterpret_cast<const UnalignedHalfShorts*>(from);
  into = __builtin_convertvector(
      reinterpret_cast<HalfFloats>(__builtin_convertvector(raw, HalfWords) << 16), Doubles);
}

[[gnu::always_inline]] inline void store(float* into, Floats value) {
  *reinterpret_cast<UnalignedFloats*>(into) = value;
}

/** To the nearest, ties to even; a NaN stays one. */
[[gnu::always_inline]] inline void store(c10::BFloat16* into, Floats value) {
  const auto bits = reinterpret_cast<Words>(value);
  const Words rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const auto is_nan = reinterpret_cast<Words>(value != value);
  const Words chosen = (is_nan & 0x7fc0u) | (~is_nan & rounded);
  *reinterpret_cast<UnalignedShorts*>(into) = __builtin_convertvector(chosen, UnalignedShorts);
}

[[gnu::always_inline]] inline void add_to(double* into, Doubles value) {
  *reinterpret_cast<UnalignedDoubles*>(into) += value;
}

[[gnu::always_inline]] inline void add_to(double* into, Floats value) {
  const auto low = __builtin_shufflevector(value, value, 0, 1, 2, 3, 4, 5, 6, 7);
  const auto high = __builtin_shufflevector(value, value, 8, 9, 10, 11, 12, 13, 14, 15);
  add_to(into, __builtin_convertvector(low, Doubles));
  add_to(into + 8, __builtin_convertvector(high, Doubles));
}

inline float widen(float value) {
  return value;
}

inline float widen(c10::BFloat16 value) {
  const uint32_t bits = static_cast<uint32_t>(value.x) << 16;
  float result;
  std::memcpy(&result, &bits, sizeof(result));
  return result;
}

/**
 * What values are added up in before they are added to a double, a band later. bfloat16 values have 8 digits of a float's 24
 * and their products 16: floats hold those of a band. Of float32 they do not: already the distances round, and of numbers that
 * share their last digits all the same way.
 */
template <typename T>
using Accumulator = std::conditional_t<std::is_same_v<T, float>, Doubles, Floats>;

/** Adds the sums over at most kBand pixels, `step` values apart, of kVectors vectors of channels. */
template <typename V, int kVectors, bool kGradient, typename T>
[[gnu::always_inline]] inline void add_band(
    const T* x, const T* gradient, int64_t pixels, int64_t step, const float* centre, double* first, double* second) {
  constexpr int64_t lanes = lanes_of<V>;
  V middle[kVectors], sum[kVectors] = {}, product[kVectors] = {};
  for (int v = 0; v < kVectors; ++v) {
    load(centre + v * lanes, middle[v]);
  }
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const int64_t at = pixel * step + v * lanes;
      V value;
      load(x + at, value);
      const V distance = value - middle[v];
      if constexpr (kGradient) {
        load(gradient + at, value);
      } else {
        value = distance;
      }
      sum[v] += value;
      product[v] += value * distance;
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    add_to(first + v * lanes, sum[v]);
    add_to(second + v * lanes, product[v]);
  }
}

/** Adds pixels [0, pixels) of all channels, which lie side by side, to first and second. */
template <bool kGradient, typename T>
void add_part(
    const T* x, const T* gradient, int64_t pixels, int64_t channels, const float* centre, double* first,
    double* second) {
  typedef Accumulator<T> V;
  constexpr int64_t lanes = lanes_of<V>;
  for (int64_t start = 0; start < pixels; start += kBand) {
    const int64_t count = std::min(kBand, pixels - start);
    const T* values = x + start * channels;
    const T* slopes = kGradient ? gradient + start * channels : x;
    int64_t c = 0;
    for (; c + 2 * lanes <= channels; c += 2 * lanes) {
      add_band<V, 2, kGradient>(values + c, slopes + c, count, channels, centre + c, first + c, second + c);
    }
    for (; c + lanes <= channels; c += lanes) {
      add_band<V, 1, kGradient>(values + c, slopes + c, count, channels, centre + c, first + c, second + c);
    }
    for (; c + lanes_of<Doubles> <= channels; c += lanes_of<Doubles>) {
      add_band<Doubles, 1, kGradient>(values + c, slopes + c, count, channels, centre + c, first + c, second + c);
    }
    for (; c < channels; ++c) {
      for (int64_t pixel = 0; pixel < count; ++pixel) {
        const double distance = static_cast<double>(widen(values[pixel * channels + c])) - centre[c];
        const double value = kGradient ? static_cast<double>(widen(slopes[pixel * channels + c])) : distance;
        first[c] += value;
        second[c] += value * distance;
      }
    }
  }
}

/** The sums over one channel's pixels, which lie one after another. */
template <bool kGradient, typename T>
void sum_plane(const T* x, const T* gradient, int64_t pixels, float centre, double* first, double* second) {
  typedef Accumulator<T> V;
  constexpr int64_t lanes = lanes_of<V>, chains = 2, width = chains * lanes;
  float centres[width];
  double sums[width] = {}, products[width] = {};
  std::fill_n(centres, width, centre);
  const int64_t rows = pixels / width;
  const T* slopes = kGradient ? gradient : x;
  for (int64_t row = 0; row < rows; row += kBand) {
    const int64_t at = row * width;
    add_band<V, chains, kGradient>(x + at, slopes + at, std::min(kBand, rows - row), width, centres, sums, products);
  }
  double total = 0, total_product = 0;
  for (int64_t lane = 0; lane < width; ++lane) {
    total += sums[lane];
    total_product += products[lane];
  }
  for (int64_t at = rows * width; at < pixels; ++at) {
    const double distance = static_cast<double>(widen(x[at])) - centre;
    const double value = kGradient ? static_cast<double>(widen(slopes[at])) : distance;
    total += value;
    total_product += value * distance;
  }
  *first = total;
  *second = total_product;
}

/** Parts of a sample's pixels, decided by the shape alone. */
struct Parts {
  int64_t size, count;

  explicit Parts(const MapLayout& layout) {
    const int64_t values = layout.pixels * layout.channels;
    const int64_t wanted = std::clamp<int64_t>(values / kLeastPart, 1, kMostParts);
    size = (layout.pixels + wanted - 1) / wanted;
    count = (layout.pixels + size - 1) / size;
  }
};

/** Calls body(part, its sample, its first pixel counted over all samples, pixels) for every part, on all threads. */
template <typename Body>
void for_each_part(const MapLayout& layout, const Body& body) {
  const Parts parts(layout);
  at::parallel_for(0, layout.samples * parts.count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t sample = part / parts.count;
      const int64_t from = part % parts.count * parts.size;
      body(part, sample, sample * layout.pixels + from, std::min(parts.size, layout.pixels - from));
    }
  });
}

/** Calls body(channel counted over all samples) for every plane of pixels, on all threads. */
template <typename Body>
void for_each_plane(const MapLayout& layout, const Body& body) {
  const int64_t grain = std::max<int64_t>(1, kLeastPart / std::max<int64_t>(1, layout.pixels));
  at::parallel_for(0, layout.rows(), grain, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      body(plane);
    }
  });
}

template <bool kGradient, typename T>
void sum_all(
    const T* gradient, const T* x, const MapLayout& layout, const float* centre, double* first, double* second) {
  if (!layout.channels_last) {
    for_each_plane(layout, [&](int64_t plane) {
      const int64_t at = plane * layout.pixels;
      sum_plane<kGradient>(
          x + at, kGradient ? gradient + at : nullptr, layout.pixels, centre[plane], first + plane, second + plane);
    });
    return;
  }
  const int64_t channels = layout.channels;
  const Parts parts(layout);
  std::vector<double> sums(static_cast<size_t>(layout.samples * parts.count * 2 * channels));
  for_each_part(layout, [&](int64_t part, int64_t sample, int64_t pixel, int64_t count) {
    const int64_t at = pixel * channels;
    double* into = sums.data() + part * 2 * channels;
    add_part<kGradient>(
        x + at, kGradient ? gradient + at : nullptr, count, channels, centre + sample * channels, into, into + channels);
  });
  std::fill_n(first, layout.rows(), 0.0);
  std::fill_n(second, layout.rows(), 0.0);
  for (int64_t part = 0; part < layout.samples * parts.count; ++part) {
    const int64_t row = part / parts.count * channels;
    const double* of_part = sums.data() + part * 2 * channels;
    for (int64_t c = 0; c < channels; ++c) {
      first[row + c] += of_part[c];
      second[row + c] += of_part[channels + c];
    }
  }
}

template <bool kGradient, typename T>
[[gnu::always_inline]] inline void transform_one(
    const T& x, const T& gradient, float factor, float centre, float slope, float offset, T& out) {
  const float line = (widen(x) - centre) * slope + offset;
  out = static_cast<T>(kGradient ? widen(gradient) * factor - line : line);
}

/** At most kBand pixels, `step` values apart, of a vector of channels. */
template <bool kGradient, typename T>
[[gnu::always_inline]] inline void transform_band(
    const T* x, const T* gradient, int64_t pixels, int64_t step, Floats factor, Floats centre, Floats slope,
    Floats offset, T* out) {
  for (int64_t at = 0; at < pixels * step; at += step) {
    Floats value;
    load(x + at, value);
    const Floats line = (value - centre) * slope + offset;
    if constexpr (kGradient) {
      load(gradient + at, value);
      store(out + at, value * factor - line);
    } else {
      store(out + at, line);
    }
  }
}

template <bool kGradient, typename T>
void transform_all(
    const T* gradient, const T* x, const MapLayout& layout, const float* factor, const ChannelLines& lines, T* out) {
  constexpr int64_t lanes = lanes_of<Floats>;
  if (!layout.channels_last) {
    for_each_plane(layout, [&](int64_t plane) {
      const int64_t start = plane * layout.pixels, whole = layout.pixels / lanes;
      const T* values = x + start;
      const T* slopes = kGradient ? gradient + start : values;
      const float by = kGradient ? factor[plane] : 0;
      const float centre = lines.centre[plane], slope = lines.slope[plane], offset = lines.offset[plane];
      transform_band<kGradient>(
          values, slopes, whole, lanes, Floats{} + by, Floats{} + centre, Floats{} + slope, Floats{} + offset,
          out + start);
      for (int64_t i = whole * lanes; i < layout.pixels; ++i) {
        transform_one<kGradient>(values[i], slopes[i], by, centre, slope, offset, out[start + i]);
      }
    });
    return;
  }
  for_each_part(layout, [&](int64_t, int64_t sample, int64_t first, int64_t count) {
    const int64_t channels = layout.channels, row = sample * channels;
    for (int64_t pixel = first; pixel < first + count; pixel += kBand) {
      const int64_t start = pixel * channels, pixels = std::min(kBand, first + count - pixel);
      const T* values = x + start;
      const T* slopes = kGradient ? gradient + start : values;
      int64_t c = 0;
      for (; c + lanes <= channels; c += lanes) {
        Floats by = {}, centre, slope, offset;
        if constexpr (kGradient) {
          load(factor + row + c, by);
        }
        load(lines.centre + row + c, centre);
        load(lines.slope + row + c, slope);
        load(lines.offset + row + c, offset);
        transform_band<kGradient>(
            values + c, slopes + c, pixels, channels, by, centre, slope, offset, out + start + c);
      }
      for (; c < channels; ++c) {
        const float by = kGradient ? factor[row + c] : 0;
        for (int64_t at = c; at < pixels * channels; at += channels) {
          transform_one<kGradient>(
              values[at], slopes[at], by, lines.centre[row + c], lines.slope[row + c], lines.offset[row + c],
              out[start + at]);
        }
      }
    }
  });
}

} // namespace

template <typename T>
void sum_channels(const T* x, const MapLayout& layout, const float* centre, double* first, double* second) {
  sum_all<false, T>(nullptr, x, layout, centre, first, second);
}

template <typename T>
void sum_gradients(
    const T* gradient, const T* x, const MapLayout& layout, const float* centre, double* first, double* second) {
  sum_all<true, T>(gradient, x, layout, centre, first, second);
}

template <typename T>
void scale_channels(const T* x, const MapLayout& layout, const ChannelLines& lines, T* out) {
  transform_all<false, T>(nullptr, x, layout, nullptr, lines, out);
}

template <typename T>
void spread_gradients(
    const T* gradient, const T* x, const MapLayout& layout, const float* factor, const ChannelLines& lines, T* out) {
  transform_all<true, T>(gradient, x, layout, factor, lines, out);
}

#define GOSHAWK_INSTANTIATE(T)                                                                             \
  template void sum_channels<T>(const T*, const MapLayout&, const float*, double*, double*);               \
  template void sum_gradients<T>(const T*, const T*, const MapLayout&, const float*, double*, double*);    \
  template void scale_channels<T>(const T*, const MapLayout&, const ChannelLines&, T*);                    \
  template void spread_gradients<T>(const T*, const T*, const MapLayout&, const float*, const ChannelLines&, T*);
GOSHAWK_INSTANTIATE(float)
GOSHAWK_INSTANTIATE(c10::BFloat16)
#undef GOSHAWK_INSTANTIATE

} // namespace goshawk
