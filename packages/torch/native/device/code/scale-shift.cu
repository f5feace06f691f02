// A factor and an offset a channel, an addition and a ReLU in one pass, and its gradient; defined in kernels/scale-shift.cc. Bound
// by memory: each value is read and written once.
#include "device/code/vectors.cuh"

namespace goshawk {

/** NaN stays NaN. */
__device__ inline Wide positive_part(Wide value) {
  return value < Wide(0) ? Wide(0) : value;
}

/**
 * Channels side by side, 16 bytes at a time: all pointers are multiples of that, and so are the channels. `residual` may be
 * null.
 */
GOSHAWK_KERNEL void __launch_bounds__(256) scale_shift_by_vectors(
    const Scalar* input, const Wide* scale, const Wide* shift, const Scalar* residual, int relu, int64_t vectors,
    int channels, Scalar* out) {
  constexpr int kCount = kInSixteenBytes;
  const int of_pixel = channels / kCount;
  const int step = static_cast<int>(thread_count() % of_pixel);
  int vector = static_cast<int>(thread_number() % of_pixel);
  for (int64_t i = thread_number(); i < vectors; i += thread_count()) {
    Wide values[kCount], factors[kCount], offsets[kCount], added[kCount];
    load_values<kCount>(input + i * kCount, values);
    load_values<kCount>(scale + vector * kCount, factors);
    load_values<kCount>(shift + vector * kCount, offsets);
    if (residual != nullptr) {
      load_values<kCount>(residual + i * kCount, added);
    }
#pragma unroll
    for (int lane = 0; lane < kCount; ++lane) {
      Wide value = values[lane] * factors[lane] + offsets[lane];
      value = residual != nullptr ? value + added[lane] : value;
      values[lane] = relu != 0 ? positive_part(value) : value;
    }
    store_values<kCount>(values, out + i * kCount);
    vector += step;
    vector = vector >= of_pixel ? vector - of_pixel : vector;
  }
}

/** Any memory: `area` values of a channel lie side by side. */
GOSHAWK_KERNEL void scale_shift_one_by_one(
    const Scalar* input, const Wide* scale, const Wide* shift, const Scalar* residual, int relu, int64_t count,
    int channels, int64_t area, Scalar* out) {
  for (int64_t i = thread_number(); i < count; i += thread_count()) {
    const int channel = static_cast<int>(i / area % channels);
    Wide value = widen(input[i]) * scale[channel] + shift[channel];
    value = residual != nullptr ? value + widen(residual[i]) : value;
    out[i] = narrow<Scalar>(relu != 0 ? positive_part(value) : value);
  }
}

/** `output` is null where there was no ReLU, `of_residual` where nobody asks for it. */
GOSHAWK_KERNEL void __launch_bounds__(256) scale_shift_gradient_by_vectors(
    const Scalar* gradient, const Scalar* output, const Wide* scale, int64_t vectors, int channels, Scalar* of_input,
    Scalar* of_residual) {
  constexpr int kCount = kInSixteenBytes;
  const int of_pixel = channels / kCount;
  const int step = static_cast<int>(thread_count() % of_pixel);
  int vector = static_cast<int>(thread_number() % of_pixel);
  for (int64_t i = thread_number(); i < vectors; i += thread_count()) {
    Wide values[kCount], factors[kCount], outputs[kCount];
    load_values<kCount>(gradient + i * kCount, values);
    load_values<kCount>(scale + vector * kCount, factors);
    if (output != nullptr) {
      load_values<kCount>(output + i * kCount, outputs);
#pragma unroll
      for (int lane = 0; lane < kCount; ++lane) {
        values[lane] = outputs[lane] <= Wide(0) ? Wide(0) : values[lane];
      }
    }
    if (of_residual != nullptr) {
      store_values<kCount>(values, of_residual + i * kCount);
    }
#pragma unroll
    for (int lane = 0; lane < kCount; ++lane) {
      values[lane] *= factors[lane];
    }
    store_values<kCount>(values, of_input + i * kCount);
    vector += step;
    vector = vector >= of_pixel ? vector - of_pixel : vector;
  }
}

GOSHAWK_KERNEL void scale_shift_gradient_one_by_one(
    const Scalar* gradient, const Scalar* output, const Wide* scale, int64_t count, int channels, int64_t area,
    Scalar* of_input, Scalar* of_residual) {
  for (int64_t i = thread_number(); i < count; i += thread_count()) {
    const int channel = static_cast<int>(i / area % channels);
    Wide value = widen(gradient[i]);
    if (output != nullptr && widen(output[i]) <= Wide(0)) {
      value = Wide(0);
    }
    if (of_residual != nullptr) {
      of_residual[i] = narrow<Scalar>(value);
    }
    of_input[i] = narrow<Scalar>(value * scale[channel]);
  }
}

} // namespace goshawk
