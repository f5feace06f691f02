// The transforms of F(4x4, 3x3), B^T, A^T, G and those of their gradients, along one side of a tile, and tiles of maps, for a vector
// of channels at once.
#pragma once

#include "lanes.h"

#include <algorithm>
#include <cstdint>
#include <type_traits>

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

/** Maps that lie pixel by pixel, `step` floats from one to the next: more than their channels where they are a slice of others. */
struct Pixels {
  const float* values = nullptr;
  int64_t step = 0;
};

/** Columns of kSide pixels of a tile, some of which may lie outside of the map: zeros there. */
template <int64_t kSide>
struct TileRows {
  /** The map's first pixel of each row; absent outside. */
  const float* rows[kSide];
  int64_t left, width, step;

  /** @param inside whether all of the tile is */
  Vector load(int64_t y, int64_t x, int64_t channel, int64_t lanes, bool inside) const {
    const int64_t column = left + x;
    if (!inside && (!rows[y] || column < 0 || column >= width)) return Vector{};
    return load_lanes(rows[y] + column * step + channel, lanes);
  }
};

template <int64_t kSide>
TileRows<kSide> tile_rows(const Pixels& maps, const Grid& grid, int64_t image, int64_t top, int64_t left) {
  TileRows<kSide> result;
  result.left = left;
  result.width = grid.width;
  result.step = maps.step;
  for (int64_t y = 0; y < kSide; ++y) {
    const int64_t row = top + y;
    const bool is_inside = row >= 0 && row < grid.height;
    result.rows[y] = is_inside ? maps.values + (image * grid.height + row) * grid.width * maps.step : nullptr;
  }
  return result;
}

/**
 * Reads kSide x kSide pixels of every channel from `offset` before a tile on, of the maps or of the sum of two, zeros outside,
 * transforms columns and rows by `apply`, and writes the 36 results to into[point][tile][channel].
 */
template <int64_t kSide, bool kAdds, typename Transform>
void transform_tile(
    const Pixels& maps, const Pixels& added, const Grid& grid, int64_t tile, int64_t offset, int64_t channels, float* into,
    int64_t point_step, const Transform& apply) {
  const int64_t image = tile / (grid.down * grid.across);
  const int64_t top = tile / grid.across % grid.down * 4 + offset;
  const int64_t left = tile % grid.across * 4 + offset;
  const TileRows<kSide> one = tile_rows<kSide>(maps, grid, image, top, left);
  const TileRows<kSide> other = kAdds ? tile_rows<kSide>(added, grid, image, top, left) : one;
  const bool inside = top >= 0 && left >= 0 && top + kSide <= grid.height && left + kSide <= grid.width;
  for (int64_t c = 0; c < channels; c += kLanes) {
    const int64_t count = std::min(kLanes, channels - c);
    Vector half[6 * kSide];
    // Apart, so that tiles within the map, which most are, have no questions to ask.
    const auto read = [&](const auto is_inside) {
      for (int64_t x = 0; x < kSide; ++x) {
        Vector column[kSide];
#pragma GCC unroll 6
        for (int64_t y = 0; y < kSide; ++y) {
          column[y] = one.load(y, x, c, count, is_inside);
          if constexpr (kAdds) column[y] += other.load(y, x, c, count, is_inside);
        }
        apply(column, 1, half + x, kSide);
      }
    };
    if (inside) {
      read(std::true_type{});
    } else {
      read(std::false_type{});
    }
    for (int64_t y = 0; y < 6; ++y) {
      Vector row[6];
      apply(half + y * kSide, 1, row, 1);
#pragma GCC unroll 6
      for (int64_t x = 0; x < 6; ++x) {
        store_vector(into + (y * 6 + x) * point_step + c, row[x]);
      }
    }
  }
}

} // namespace goshawk::winograd
