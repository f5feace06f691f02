// The transforms of F(4x4, 3x3), B^T, A^T, G and those of their gradients, along one side of a tile, and tiles of maps, for a vector
// of channels at once.
#pragma once

#include "lanes.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace goshawk::winograd {

/** Values of a transformed tile, 6 x 6. */
constexpr int64_t kPoints = 36;

/** B^T applied to six values. */
[[gnu::always_inline]] inline void input_transform(const Vector* d, int64_t step, Vector* out, int64_t out_step) {
  const Vector d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
  out[0] = d0 * 4.0f - d2 * 5.0f + d4;
  out[out_step] = d3 + d4 - (d1 + d2) * 4.0f;
  out[2 * out_step] = (d1 - d2) * 4.0f - d3 + d4;
  out[3 * out_step] = (d3 - d1) * 2.0f - d2 + d4;
  out[4 * out_step] = (d1 - d3) * 2.0f - d2 + d4;
  out[5 * out_step] = d1 * 4.0f - d3 * 5.0f + d5;
}

/** A^T applied to six values. */
[[gnu::always_inline]] inline void output_transform(const Vector* m, int64_t step, Vector* out, int64_t out_step) {
  const Vector plus12 = m[step] + m[2 * step], minus12 = m[step] - m[2 * step];
  const Vector plus34 = m[3 * step] + m[4 * step], minus34 = m[3 * step] - m[4 * step];
  out[0] = m[0] + plus12 + plus34;
  out[out_step] = minus12 + minus34 * 2.0f;
  out[2 * out_step] = plus12 + plus34 * 4.0f;
  out[3 * out_step] = minus12 + minus34 * 8.0f + m[5 * step];
}

/** A applied to four values. */
[[gnu::always_inline]] inline void gradient_transform(const Vector* y, int64_t step, Vector* out, int64_t out_step) {
  const Vector even = y[0] + y[2 * step], odd = y[step] + y[3 * step];
  const Vector even2 = y[0] + y[2 * step] * 4.0f, odd2 = y[step] * 2.0f + y[3 * step] * 8.0f;
  out[0] = y[0];
  out[out_step] = even + odd;
  out[2 * out_step] = even - odd;
  out[3 * out_step] = even2 + odd2;
  out[4 * out_step] = even2 - odd2;
  out[5 * out_step] = y[3 * step];
}

/** G applied to three values. */
[[gnu::always_inline]] inline void kernel_transform(const Vector* g, int64_t step, Vector* out, int64_t out_step) {
  const Vector sum = g[0] + g[2 * step], wide = g[0] + g[2 * step] * 4.0f, middle = g[step];
  out[0] = g[0] / 4.0f;
  out[out_step] = (sum + middle) / -6.0f;
  out[2 * out_step] = (middle - sum) / 6.0f;
  out[3 * out_step] = (wide + middle * 2.0f) / 24.0f;
  out[4 * out_step] = (wide - middle * 2.0f) / 24.0f;
  out[5 * out_step] = g[2 * step];
}

/** G^T applied to six values. */
[[gnu::always_inline]] inline void kernel_gradient(const Vector* u, int64_t step, Vector* out, int64_t out_step) {
  const Vector sum12 = u[step] + u[2 * step], difference12 = u[2 * step] - u[step];
  const Vector sum34 = u[3 * step] + u[4 * step], difference34 = u[3 * step] - u[4 * step];
  out[0] = u[0] / 4.0f - sum12 / 6.0f + sum34 / 24.0f;
  out[out_step] = difference12 / 6.0f + difference34 / 12.0f;
  out[2 * out_step] = (sum34 - sum12) / 6.0f + u[5 * step];
}

/** Where the tiles of a batch of maps are. */
struct Grid {
  int64_t images, height, width, down, across;
  Grid(int64_t n, int64_t h, int64_t w) : images(n), height(h), width(w), down((h + 3) / 4), across((w + 3) / 4) {}
  int64_t tiles() const {
    return images * down * across;
  }
};

/**
 * Reads kSide x kSide pixels of every channel from (top, left) of a map, zeros outside, transforms rows and columns by
 * `apply`, and writes the 36 results to into[point][tile][channel].
 */
template <int64_t kSide, typename Transform>
void transform_tile(
    const float* maps, const Grid& grid, int64_t tile, int64_t offset, int64_t channels, float* into, int64_t point_step,
    const Transform& apply) {
  const int64_t image = tile / (grid.down * grid.across);
  const int64_t top = tile / grid.across % grid.down * 4 + offset;
  const int64_t left = tile % grid.across * 4 + offset;
  const float* map = maps + image * grid.height * grid.width * channels;
  for (int64_t c = 0; c < channels; c += kLanes) {
    const int64_t count = std::min(kLanes, channels - c);
    Vector pixels[kSide * kSide];
    for (int64_t y = 0; y < kSide; ++y) {
      for (int64_t x = 0; x < kSide; ++x) {
        const int64_t row = top + y, column = left + x;
        Vector& pixel = pixels[y * kSide + x];
        pixel = Vector{};
        if (row >= 0 && row < grid.height && column >= 0 && column < grid.width) {
          const float* from = map + (row * grid.width + column) * channels + c;
          if (count == kLanes) {
            pixel = load_vector(from);
          } else {
            std::memcpy(&pixel, from, static_cast<size_t>(count) * sizeof(float));
          }
        }
      }
    }
    Vector half[6 * kSide];
    for (int64_t x = 0; x < kSide; ++x) {
      apply(pixels + x, kSide, half + x, kSide);
    }
    Vector done[kPoints];
    for (int64_t y = 0; y < 6; ++y) {
      apply(half + y * kSide, 1, done + y * 6, 1);
    }
    for (int64_t point = 0; point < kPoints; ++point) {
      store_vector(into + point * point_step + c, done[point]);
    }
  }
}

} // namespace goshawk::winograd
