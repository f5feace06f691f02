// Masks of pictures from coarse maps of the network's input, as SOLO makes them (Wang et al. 2020): gridMaskToRle() of
// packages/core/src/masks, whose taps come in, for many masks and threads, bit for bit.
#include "run-lengths.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>
#include <tuple>
#include <vector>

namespace goshawk {
namespace {

/** Along one axis: the first of three cells that each pixel is made of, and their weights. */
struct Taps {
  const int32_t* first;
  const double* weights;
  int64_t pixels;
};

struct Extent {
  int64_t left, top, right, bottom;
};

Extent extent_above(const float* cells, int64_t rows, int64_t columns, double threshold) {
  Extent extent{columns, rows, -1, -1};
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      if (cells[row * columns + column] > threshold) {
        extent.left = std::min(extent.left, column);
        extent.right = std::max(extent.right, column);
        extent.top = std::min(extent.top, row);
        extent.bottom = row;
      }
    }
  }
  return extent;
}

/** Of the pixels that read rows of the extent: where runs that read the same rows begin, and the end of the last. */
std::vector<int64_t> groups_reading(const Taps& down, const Extent& extent) {
  std::vector<int64_t> groups;
  int64_t end = 0;
  for (int64_t pixel = 0; pixel < down.pixels; ++pixel) {
    const int64_t row = down.first[pixel];
    if (row > extent.bottom || row + 2 < extent.top) {
      continue;
    }
    if (groups.empty() || row != down.first[pixel - 1]) {
      groups.push_back(pixel);
    }
    end = pixel + 1;
  }
  groups.push_back(end);
  return groups;
}

void write_runs(
    const float* cells, int64_t rows, int64_t columns, const Taps& across, const Taps& down, double threshold,
    std::vector<int32_t>& runs) {
  RunWriter writer(runs);
  const Extent extent = extent_above(cells, rows, columns, threshold);
  const std::vector<int64_t> groups = groups_reading(down, extent);
  const int64_t top = groups.front(), bottom = groups.back();
  std::vector<double> line(static_cast<size_t>(rows));
  for (int64_t x = 0; x < across.pixels; ++x) {
    const int64_t first = across.first[x];
    if (first > extent.right || first + 2 < extent.left || top == bottom) {
      writer.add(false, down.pixels);
      continue;
    }
    writer.add(false, top);
    const double w0 = across.weights[3 * x], w1 = across.weights[3 * x + 1], w2 = across.weights[3 * x + 2];
    // Beyond the last cell a weight is 0.
    const int64_t second = std::min(first + 1, columns - 1), third = std::min(first + 2, columns - 1);
    const int64_t last = std::min(rows, extent.bottom + 3);
    for (int64_t row = std::max<int64_t>(0, extent.top - 2); row < last; ++row) {
      const float* cell = cells + row * columns;
      line[static_cast<size_t>(row)] = w0 * cell[first] + w1 * cell[second] + w2 * cell[third];
    }
    for (size_t group = 0; group + 1 < groups.size(); ++group) {
      const int64_t y = groups[group], end = groups[group + 1], row = down.first[y];
      const double a = line[static_cast<size_t>(row)];
      const double b = line[static_cast<size_t>(std::min(row + 1, rows - 1))];
      const double c = line[static_cast<size_t>(std::min(row + 2, rows - 1))];
      const bool is_in = a > threshold;
      if ((b > threshold) == is_in && (c > threshold) == is_in) {
        writer.add(is_in, end - y);
        continue;
      }
      for (const double* weight = down.weights + 3 * y; weight < down.weights + 3 * end; weight += 3) {
        writer.add(weight[0] * a + weight[1] * b + weight[2] * c > threshold, 1);
      }
    }
    writer.add(false, down.pixels - bottom);
  }
}

Taps taps_of(const at::Tensor& first, const at::Tensor& weights, int64_t cells, const char* axis) {
  TORCH_CHECK(
      first.scalar_type() == at::kInt && first.dim() == 1 && first.is_contiguous() &&
          weights.scalar_type() == at::kDouble && weights.dim() == 1 && weights.is_contiguous() &&
          weights.size(0) == 3 * first.size(0),
      "grid_masks_to_rle: ", axis, " must be [L] int32 cells and [3 * L] float64 weights, got ", first.sizes(), " ",
      first.scalar_type(), " and ", weights.sizes(), " ", weights.scalar_type());
  const Taps taps{first.data_ptr<int32_t>(), weights.data_ptr<double>(), first.size(0)};
  for (int64_t i = 0; i < taps.pixels; ++i) {
    TORCH_CHECK(
        taps.first[i] >= 0 && taps.first[i] < cells, "grid_masks_to_rle: ", axis, ": pixel ", i, " reads cell ",
        taps.first[i], " of ", cells);
  }
  return taps;
}

std::tuple<at::Tensor, at::Tensor> grid_masks_to_rle(
    const at::Tensor& maps, const at::Tensor& across_first, const at::Tensor& across_weights,
    const at::Tensor& down_first, const at::Tensor& down_weights, double threshold) {
  TORCH_CHECK(
      maps.dim() == 3 && maps.is_floating_point() && maps.size(1) > 0 && maps.size(2) > 0,
      "grid_masks_to_rle: maps must be [D, rows, columns] floating point, got ", maps.sizes(), " ", maps.scalar_type());
  const at::Tensor cells = maps.to(at::kFloat).contiguous();
  const int64_t count = cells.size(0), rows = cells.size(1), columns = cells.size(2);
  const Taps across = taps_of(across_first, across_weights, columns, "across");
  const Taps down = taps_of(down_first, down_weights, rows, "down");
  TORCH_CHECK(
      down.pixels == 0 || across.pixels <= INT32_MAX / down.pixels, "grid_masks_to_rle: bad image size ", down.pixels,
      " x ", across.pixels);
  const float* cell = cells.data_ptr<float>();
  std::vector<std::vector<int32_t>> runs(static_cast<size_t>(count));
  at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      write_runs(cell + i * rows * columns, rows, columns, across, down, threshold, runs[static_cast<size_t>(i)]);
    }
  });
  return joined_runs(runs);
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CPU, m) {
  m.impl("grid_masks_to_rle", TORCH_FN(goshawk::grid_masks_to_rle));
}
