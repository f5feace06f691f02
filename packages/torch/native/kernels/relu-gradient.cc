#include "relu-gradient.h"

#include "lanes.h"
#include "share-work.h"

#include <c10/util/BFloat16.h>

#include <algorithm>
#include <cstring>

namespace goshawk {
namespace rectified {
namespace {

/** Pixels whose sums are made before they are added to those of a part. */
constexpr int64_t kBandPixels = 8;
/** Parts of all pixels: enough for many threads, few enough that their sums are small beside the maps. */
constexpr int64_t kPartsAtMost = 64;
constexpr int64_t kPartAtLeast = 16384;

constexpr int64_t kHalf = kLanes / 2;
typedef float HalfVector __attribute__((vector_size(kVectorBytes / 2)));
typedef double DoubleVector __attribute__((vector_size(kVectorBytes)));
typedef double UnalignedDoubleVector __attribute__((vector_size(kVectorBytes), aligned(8), may_alias));
typedef uint32_t WordVector __attribute__((vector_size(kVectorBytes)));
typedef uint16_t ShortVector __attribute__((vector_size(kVectorBytes / 2), aligned(2), may_alias));

[[gnu::always_inline]] inline Vector widened(const float* from) {
  return load_vector(from);
}

[[gnu::always_inline]] inline Vector widened(const c10::BFloat16* from) {
  const auto raw = *reinterpret_cast<const ShortVector*>(from);
  return reinterpret_cast<Vector>(__builtin_convertvector(raw, WordVector) << 16);
}

/** A value that was read from the same type: nothing is rounded. */
[[gnu::always_inline]] inline void narrowed(float* into, Vector value) {
  store_vector(into, value);
}

[[gnu::always_inline]] inline void narrowed(c10::BFloat16* into, Vector value) {
  *reinterpret_cast<ShortVector*>(into) = __builtin_convertvector(reinterpret_cast<WordVector>(value) >> 16, ShortVector);
}

[[gnu::always_inline]] inline DoubleVector doubles_of(Vector value, int64_t from) {
  HalfVector half;
  std::memcpy(&half, reinterpret_cast<const float*>(&value) + from, sizeof(half));
  return __builtin_convertvector(half, DoubleVector);
}

[[gnu::always_inline]] inline void add_doubles(double* into, DoubleVector value) {
  *reinterpret_cast<UnalignedDoubleVector*>(into) += value;
}

/** bfloat16 has 8 digits of a float's 24, which hold the sum of a band; sums of float32 are made in doubles. */
template <typename T>
constexpr bool kAddsFloats = std::is_same_v<T, c10::BFloat16>;

template <bool kRelu, bool kSums, typename T>
[[gnu::always_inline]] inline void vector_band(
    const T* gradient, const T* output, T* passed, double* sums, int64_t pixels, int64_t step) {
  Vector floats{};
  DoubleVector low{}, high{};
  for (int64_t at = 0; at < pixels * step; at += step) {
    Vector value = widened(gradient + at);
    if constexpr (kRelu) {
      value = widened(output + at) <= 0.0f ? Vector{} : value;
      narrowed(passed + at, value);
    }
    if constexpr (kSums && kAddsFloats<T>) {
      floats += value;
    } else if constexpr (kSums) {
      low += doubles_of(value, 0);
      high += doubles_of(value, kHalf);
    }
  }
  if constexpr (kSums && kAddsFloats<T>) {
    low = doubles_of(floats, 0);
    high = doubles_of(floats, kHalf);
  }
  if constexpr (kSums) {
    add_doubles(sums, low);
    add_doubles(sums + kHalf, high);
  }
}

template <bool kRelu, bool kSums, typename T>
void part_of_pixels(
    const T* gradient, const T* output, T* passed, double* sums, int64_t pixels, int64_t channels) {
  for (int64_t first = 0; first < pixels; first += kBandPixels) {
    const int64_t count = std::min(kBandPixels, pixels - first), start = first * channels;
    int64_t c = 0;
    for (; c + kLanes <= channels; c += kLanes) {
      const int64_t at = start + c;
      vector_band<kRelu, kSums>(
          gradient + at, kRelu ? output + at : nullptr, kRelu ? passed + at : nullptr, kSums ? sums + c : nullptr, count,
          channels);
    }
    for (; c < channels; ++c) {
      for (int64_t at = start + c; at < start + count * channels; at += channels) {
        T value = gradient[at];
        if constexpr (kRelu) {
          value = static_cast<float>(output[at]) <= 0.0f ? T(0.0f) : value;
          passed[at] = value;
        }
        if constexpr (kSums) {
          sums[c] += static_cast<float>(value);
        }
      }
    }
  }
}

template <bool kRelu, bool kSums, typename T>
void all_pixels(const T* gradient, const T* output, T* passed, int64_t pixels, int64_t channels, double* totals) {
  // Decided by the shape alone, for the same sums on any number of threads.
  const int64_t wanted = std::clamp<int64_t>(pixels * channels / kPartAtLeast, 1, kPartsAtMost);
  const int64_t size = (pixels + wanted - 1) / wanted, parts = (pixels + size - 1) / size;
  std::vector<double> sums(static_cast<size_t>(kSums ? parts * channels : 0));
  share_each(parts, [&](int64_t part) {
    const int64_t first = part * size, at = first * channels;
    part_of_pixels<kRelu, kSums>(
        gradient + at, kRelu ? output + at : nullptr, kRelu ? passed + at : nullptr,
        kSums ? sums.data() + part * channels : nullptr, std::min(size, pixels - first), channels);
  });
  if constexpr (kSums) {
    for (int64_t part = 0; part < parts; ++part) {
      for (int64_t c = 0; c < channels; ++c) {
        totals[c] += sums[static_cast<size_t>(part * channels + c)];
      }
    }
  }
}

template <typename T>
at::Tensor gradient_of(const at::Tensor& gradient, const at::Tensor& output, std::vector<double>* sums) {
  const int64_t channels = gradient.size(1), pixels = gradient.numel() / channels;
  const T* from = gradient.data_ptr<T>();
  double* totals = sums ? sums->data() : nullptr;
  if (!output.defined()) {
    if (sums) {
      all_pixels<false, true, T>(from, nullptr, nullptr, pixels, channels, totals);
    }
    return gradient;
  }
  at::Tensor passed = at::empty(gradient.sizes(), gradient.options(), at::MemoryFormat::ChannelsLast);
  (sums ? all_pixels<true, true, T> : all_pixels<true, false, T>)(
      from, output.data_ptr<T>(), passed.data_ptr<T>(), pixels, channels, totals);
  return passed;
}

} // namespace
} // namespace rectified

bool sums_exactly(at::ScalarType type) {
  return type == at::kFloat || type == at::kBFloat16;
}

at::Tensor relu_gradient(const at::Tensor& gradient, const at::Tensor& output, std::vector<double>* sums) {
  const at::Tensor slopes = gradient.contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor values = output.defined() ? output.contiguous(at::MemoryFormat::ChannelsLast) : output;
  return slopes.scalar_type() == at::kFloat ? rectified::gradient_of<float>(slopes, values, sums)
                                            : rectified::gradient_of<at::BFloat16>(slopes, values, sums);
}

at::Tensor bias_gradient(const std::vector<double>& sums, at::ScalarType type) {
  at::Tensor result = at::empty({static_cast<int64_t>(sums.size())}, at::kFloat);
  std::copy(sums.begin(), sums.end(), result.data_ptr<float>());
  return result.to(type);
}

} // namespace goshawk
