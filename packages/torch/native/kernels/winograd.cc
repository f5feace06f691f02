#include "winograd.h"

#include "winograd-products.h"
#include "winograd-transforms.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace goshawk::winograd {
namespace {

/** Tiles a time; their transforms stay near the processor. */
constexpr int64_t kTiles = 192;
/** Floats between the values of two points: without them the 36 values of a tile would share one set of a cache. */
constexpr int64_t kGap = 48;

int64_t rounded_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/** Floats of one point of transformed kernels. */
int64_t kernel_step(int64_t in, int64_t columns) {
  return in * columns + kGap;
}

/** Six pixels a side of the input's tiles, and four of the gradient's. */
constexpr auto kOfInput = [](const Vector* d, int64_t step, Vector* to, int64_t to_step) {
  input_transform(d, step, to, to_step);
};
constexpr auto kOfGradient = [](const Vector* d, int64_t step, Vector* to, int64_t to_step) {
  gradient_transform(d, step, to, to_step);
};

} // namespace

int64_t kernel_floats(int64_t in, int64_t out) {
  return kPoints * kernel_step(in, rounded_up(out, kLanes));
}

at::Tensor transform_kernels(const at::Tensor& weight, bool turned) {
  const int64_t out = weight.size(turned ? 1 : 0), in = weight.size(turned ? 0 : 1);
  const int64_t out_step = weight.stride(turned ? 1 : 0), in_step = weight.stride(turned ? 0 : 1);
  const int64_t columns = rounded_up(out, kLanes);
  const Panels panels(columns, kPanelVectors);
  at::Tensor result = at::empty({kPoints * kernel_step(in, columns)}, weight.options());
  const float* w = weight.data_ptr<float>();
  float* written = result.data_ptr<float>();
  int64_t places[9];
  for (int64_t k = 0; k < 9; ++k) {
    const int64_t own = turned ? 8 - k : k;
    places[k] = own / 3 * weight.stride(2) + own % 3 * weight.stride(3);
  }
  at::parallel_for(0, panels.count() * in, 16, [&](int64_t begin, int64_t end) {
    for (int64_t each = begin; each < end; ++each) {
      const int64_t panel = each / in, i = each % in;
      const int64_t start = panels.start(panel), vectors = panels.vectors(panel);
      for (int64_t vector = 0; vector < vectors; ++vector) {
        const int64_t first = start + vector * kLanes, count = std::min(kLanes, out - first);
        alignas(64) float values[9][kLanes] = {};
        for (int64_t lane = 0; lane < count; ++lane) {
          const float* own = w + (first + lane) * out_step + i * in_step;
          for (int64_t k = 0; k < 9; ++k) {
            values[k][lane] = own[places[k]];
          }
        }
        Vector kernel[9], half[18], done[kPoints];
        for (int64_t k = 0; k < 9; ++k) {
          kernel[k] = load_vector(values[k]);
        }
        for (int64_t x = 0; x < 3; ++x) {
          kernel_transform(kernel + x, 3, half + x, 3);
        }
        for (int64_t y = 0; y < 6; ++y) {
          kernel_transform(half + y * 3, 1, done + y * 6, 1);
        }
        float* into = written + start * in + (i * vectors + vector) * kLanes;
        for (int64_t point = 0; point < kPoints; ++point) {
          store_vector(into + point * kernel_step(in, columns), done[point]);
        }
      }
    }
  });
  return result;
}

at::Tensor convolve(const at::Tensor& input, const at::Tensor& kernels, int64_t out, const Behind& behind) {
  const at::Tensor maps = input.contiguous(at::MemoryFormat::ChannelsLast);
  const int64_t in = maps.size(1);
  const Grid grid(maps.size(0), maps.size(2), maps.size(3));
  at::Tensor result =
      at::empty({grid.images, out, grid.height, grid.width}, maps.options(), at::MemoryFormat::ChannelsLast);
  const int64_t columns = rounded_up(out, kLanes), depth = rounded_up(in, kLanes);
  const Panels panels(columns, kPanelVectors);
  std::vector<float> offsets(static_cast<size_t>(columns), 0.0f);
  if (behind.bias.defined()) {
    std::copy_n(behind.bias.contiguous().data_ptr<float>(), out, offsets.data());
  }
  const float* pixels = maps.data_ptr<float>();
  const float* transformed = kernels.data_ptr<float>();
  const float* added = behind.residual.defined() ? behind.residual.data_ptr<float>() : nullptr;
  const bool relu = behind.relu;
  float* written = result.data_ptr<float>();
  const int64_t input_step = kTiles * depth + kGap, product_step = kTiles * columns + kGap;
  const at::Tensor inputs = at::empty({kPoints * input_step}, maps.options());
  const at::Tensor products = at::empty({kPoints * product_step}, maps.options());
  float* v = inputs.data_ptr<float>();
  float* m = products.data_ptr<float>();
  for (int64_t first = 0; first < grid.tiles(); first += kTiles) {
    const int64_t count = std::min(kTiles, grid.tiles() - first);
    const int64_t rows = rounded_up(count, kRows);
    at::parallel_for(0, count, 8, [&](int64_t begin, int64_t end) {
      for (int64_t tile = begin; tile < end; ++tile) {
        transform_tile<6>(
            pixels, grid, first + tile, -1, in, v + tile * depth, input_step, kOfInput);
      }
    });
    for (int64_t tile = count; tile < rows; ++tile) {
      for (int64_t point = 0; point < kPoints; ++point) {
        std::fill_n(v + point * input_step + tile * depth, depth, 0.0f);
      }
    }
    at::parallel_for(0, kPoints * panels.count(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t each = begin; each < end; ++each) {
        const int64_t point = each / panels.count(), panel = each % panels.count();
        const int64_t start = panels.start(panel), vectors = panels.vectors(panel);
        const float* own = transformed + point * kernel_step(in, columns) + start * in;
        for (int64_t row = 0; row < rows; row += kRows) {
          panel_product<kRows, kPanelVectors>(
              vectors, v + point * input_step + row * depth, depth, 1, own, vectors * kLanes,
              m + point * product_step + row * columns + start, columns, in, false);
        }
      }
    });
    at::parallel_for(0, count, 8, [&](int64_t begin, int64_t end) {
      for (int64_t tile = begin; tile < end; ++tile) {
        const int64_t place = first + tile;
        const int64_t top = place / grid.across % grid.down * 4, left = place % grid.across * 4;
        const int64_t image = place / (grid.down * grid.across) * grid.height * grid.width * out;
        for (int64_t c = 0; c < out; c += kLanes) {
          Vector values[kPoints], half[24], done[16];
          for (int64_t point = 0; point < kPoints; ++point) {
            values[point] = load_vector(m + point * product_step + tile * columns + c);
          }
          for (int64_t x = 0; x < 6; ++x) {
            output_transform(values + x, 6, half + x, 6);
          }
          for (int64_t y = 0; y < 4; ++y) {
            output_transform(half + y * 6, 1, done + y * 4, 1);
          }
          const Vector offset = load_vector(offsets.data() + c);
          const auto bytes = static_cast<size_t>(std::min(kLanes, out - c)) * sizeof(float);
          for (int64_t y = 0; y < std::min<int64_t>(4, grid.height - top); ++y) {
            for (int64_t x = 0; x < std::min<int64_t>(4, grid.width - left); ++x) {
              const int64_t pixel = image + ((top + y) * grid.width + left + x) * out + c;
              Vector value = done[y * 4 + x] + offset;
              if (added) {
                Vector other{};
                std::memcpy(&other, added + pixel, bytes);
                value += other;
              }
              // Not a maximum: what is no number stays so.
              if (relu) {
                value = value < 0.0f ? Vector{} : value;
              }
              std::memcpy(written + pixel, &value, bytes);
            }
          }
        }
      }
    });
  }
  return result;
}

at::Tensor weight_gradient(const at::Tensor& input, const at::Tensor& gradient, at::MemoryFormat format) {
  const at::Tensor maps = input.contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor slopes = gradient.contiguous(at::MemoryFormat::ChannelsLast);
  const int64_t in = maps.size(1), out = slopes.size(1);
  const int64_t rows = rounded_up(in, kLanes), columns = rounded_up(out, kLanes);
  const Grid grid(maps.size(0), maps.size(2), maps.size(3));
  const Panels panels(columns, kGradientVectors);
  const int64_t input_step = kTiles * rows + kGap, output_step = kTiles * columns + kGap;
  const at::Tensor inputs = at::empty({kPoints * input_step}, maps.options());
  const at::Tensor outputs = at::empty({kPoints * output_step}, maps.options());
  const at::Tensor sums = at::empty({kPoints * rows * columns}, maps.options());
  float* v = inputs.data_ptr<float>();
  float* m = outputs.data_ptr<float>();
  float* u = sums.data_ptr<float>();
  for (int64_t first = 0; first < grid.tiles(); first += kTiles) {
    const int64_t count = std::min(kTiles, grid.tiles() - first);
    at::parallel_for(0, count, 8, [&](int64_t begin, int64_t end) {
      for (int64_t tile = begin; tile < end; ++tile) {
        transform_tile<6>(
            maps.data_ptr<float>(), grid, first + tile, -1, in, v + tile * rows, input_step, kOfInput);
        transform_tile<4>(
            slopes.data_ptr<float>(), grid, first + tile, 0, out, m + tile * columns, output_step, kOfGradient);
      }
    });
    at::parallel_for(0, kPoints * panels.count(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t each = begin; each < end; ++each) {
        const int64_t point = each / panels.count(), panel = each % panels.count();
        const int64_t start = panels.start(panel);
        for (int64_t row = 0; row < rows; row += kGradientRows) {
          panel_product<kGradientRows, kGradientVectors>(
              panels.vectors(panel), v + point * input_step + row, 1, rows, m + point * output_step + start, columns,
              u + (point * rows + row) * columns + start, columns, count, first > 0);
        }
      }
    });
  }
  at::Tensor result = at::empty({out, in, 3, 3}, maps.options(), format);
  float* written = result.data_ptr<float>();
  const auto strides = result.strides();
  at::parallel_for(0, columns / kLanes, 1, [&](int64_t begin, int64_t end) {
    for (int64_t first = begin * kLanes; first < end * kLanes; first += kLanes) {
      const int64_t count = std::min(kLanes, out - first);
      for (int64_t i = 0; i < in; ++i) {
        Vector all[kPoints], half[18], done[9];
        for (int64_t point = 0; point < kPoints; ++point) {
          all[point] = load_vector(u + (point * rows + i) * columns + first);
        }
        for (int64_t x = 0; x < 6; ++x) {
          kernel_gradient(all + x, 6, half + x, 6);
        }
        for (int64_t y = 0; y < 3; ++y) {
          kernel_gradient(half + y * 6, 1, done + y * 3, 1);
        }
        for (int64_t k = 0; k < 9; ++k) {
          float* into = written + first * strides[0] + i * strides[1] + k / 3 * strides[2] + k % 3 * strides[3];
          for (int64_t lane = 0; lane < count; ++lane) {
            into[lane * strides[0]] = done[k][lane];
          }
        }
      }
    }
  });
  return result;
}

} // namespace goshawk::winograd
