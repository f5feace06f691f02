// 3x3 convolutions of stride 1 and padding 1 in float32 by the minimal filtering algorithm F(4x4, 3x3) (Lavin and Gray, Fast
// Algorithms for Convolutional Neural Networks, 2015): 36 products for 16 outputs instead of 144. The engine's own take all
// of them. Results differ from a direct sum by some 1e-5 of the largest value.
//
// Y = A^T [(G g G^T) * (B^T d B)] A over tiles d of 6x6 inputs and Y of 4x4 outputs; the products in brackets become 36 matrix
// products of [tiles, in] x [in, out]. The gradient of the input is the same convolution with the kernel turned round; that of
// the weight is G^T [sum over tiles of (B^T d B)^T (A dY A^T)] G.
#include "lanes.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

namespace goshawk {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

constexpr int64_t kPoints = 36;
/** Vectors of a panel's width and rows of a block: 24 sums, 4 operands and a factor fit into 32 registers. */
constexpr int64_t kPanelVectors = 4;
constexpr int64_t kRows = 6;
/** The same where the rows lie across memory, whose number is a multiple of a vector's. */
constexpr int64_t kGradientVectors = 3;
constexpr int64_t kGradientRows = 8;
/** Tiles a time; their transforms stay near the processor. */
constexpr int64_t kTiles = 192;
/** Floats between the values of two points: without them the 36 values of a tile would share one set of a cache. */
constexpr int64_t kGap = 48;
/** Rows of a panel that are asked for ahead. */
constexpr int64_t kAhead = 8;

int64_t rounded_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/** B^T applied to six values. */
template <typename T>
[[gnu::always_inline]] inline void input_transform(const T* d, int64_t step, T* out, int64_t out_step) {
  const T d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
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

/**
 * c[rows][width] (+)= a[rows][depth] b[depth][width]; a's rows and columns lie a_row and a_step floats apart. Products and sums
 * are fused, unlike elsewhere in the kernels: that is half the time.
 */
template <int64_t kBlockRows, int64_t kVectors>
[[gnu::optimize("fp-contract=fast")]] void block_product(
    const float* a, int64_t a_row, int64_t a_step, const float* b, int64_t b_step, float* c, int64_t c_row,
    int64_t depth, bool add) {
  // Only loops that are unrolled wholly leave the sums in registers.
  Vector sums[kBlockRows][kVectors];
#pragma GCC unroll 8
  for (int64_t row = 0; row < kBlockRows; ++row) {
#pragma GCC unroll 4
    for (int64_t v = 0; v < kVectors; ++v) {
      sums[row][v] = add ? load_vector(c + row * c_row + v * kLanes) : Vector{};
    }
  }
  for (int64_t k = 0; k < depth; ++k) {
    Vector right[kVectors];
#pragma GCC unroll 4
    for (int64_t v = 0; v < kVectors; ++v) {
      right[v] = load_vector(b + k * b_step + v * kLanes);
      __builtin_prefetch(b + (k + kAhead) * b_step + v * kLanes);
    }
#pragma GCC unroll 8
    for (int64_t row = 0; row < kBlockRows; ++row) {
      const float left = a[row * a_row + k * a_step];
#pragma GCC unroll 4
      for (int64_t v = 0; v < kVectors; ++v) {
        sums[row][v] += left * right[v];
      }
    }
  }
#pragma GCC unroll 8
  for (int64_t row = 0; row < kBlockRows; ++row) {
#pragma GCC unroll 4
    for (int64_t v = 0; v < kVectors; ++v) {
      store_vector(c + row * c_row + v * kLanes, sums[row][v]);
    }
  }
}

template <int64_t kBlockRows>
void block_product_of(
    int64_t vectors, const float* a, int64_t a_row, int64_t a_step, const float* b, int64_t b_step, float* c,
    int64_t c_row, int64_t depth, bool add) {
  if (vectors == 4) {
    // Eight rows of four vectors are more than there are registers.
    if constexpr (kBlockRows == kRows) {
      block_product<kBlockRows, 4>(a, a_row, a_step, b, b_step, c, c_row, depth, add);
    }
  } else if (vectors == 3) {
    block_product<kBlockRows, 3>(a, a_row, a_step, b, b_step, c, c_row, depth, add);
  } else if (vectors == 2) {
    block_product<kBlockRows, 2>(a, a_row, a_step, b, b_step, c, c_row, depth, add);
  } else {
    block_product<kBlockRows, 1>(a, a_row, a_step, b, b_step, c, c_row, depth, add);
  }
}

/** Columns in panels of at most `most` vectors, as equal as they can be; each panel's rows lie one after another. */
class Panels {
 public:
  Panels(int64_t columns, int64_t most) : vectors_(columns / kLanes), count_((vectors_ + most - 1) / most) {}

  int64_t count() const {
    return count_;
  }

  /** The first column. */
  int64_t start(int64_t panel) const {
    return (panel * (vectors_ / count_) + std::min(panel, vectors_ % count_)) * kLanes;
  }

  int64_t vectors(int64_t panel) const {
    return vectors_ / count_ + (panel < vectors_ % count_ ? 1 : 0);
  }

 private:
  int64_t vectors_, count_;
};

/** Floats of one point of transformed kernels. */
int64_t kernel_step(int64_t in, int64_t columns) {
  return in * columns + kGap;
}

/**
 * The transformed kernels, [point][panel][in][column of panel].
 * @param turned whether the kernel is turned round and in and out change places: the convolution of the gradient
 */
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

/** What is done to the sums before they are written. */
struct Behind {
  /** [out], or undefined. */
  at::Tensor bias;
  /** Of the result's shape, channels last, or undefined. */
  at::Tensor residual;
  bool relu = false;
};

/** relu(convolution + bias + residual); `input` is channels last; the result too. `kernels` as transform_kernels gives them. */
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
            pixels, grid, first + tile, -1, in, v + tile * depth, input_step,
            [](const Vector* d, int64_t step, Vector* to, int64_t to_step) { input_transform(d, step, to, to_step); });
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
          block_product_of<kRows>(
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

/** The gradient of the weight. */
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
            maps.data_ptr<float>(), grid, first + tile, -1, in, v + tile * rows, input_step,
            [](const Vector* d, int64_t step, Vector* to, int64_t to_step) { input_transform(d, step, to, to_step); });
        transform_tile<4>(
            slopes.data_ptr<float>(), grid, first + tile, 0, out, m + tile * columns, output_step,
            [](const Vector* d, int64_t step, Vector* to, int64_t to_step) { gradient_transform(d, step, to, to_step); });
      }
    });
    at::parallel_for(0, kPoints * panels.count(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t each = begin; each < end; ++each) {
        const int64_t point = each / panels.count(), panel = each % panels.count();
        const int64_t start = panels.start(panel);
        for (int64_t row = 0; row < rows; row += kGradientRows) {
          block_product_of<kGradientRows>(
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

void check(const at::Tensor& input, const at::Tensor& weight, const c10::optional<at::Tensor>& bias) {
  TORCH_CHECK(
      input.dim() == 4 && weight.dim() == 4 && weight.size(2) == 3 && weight.size(3) == 3 &&
          weight.size(1) == input.size(1) && input.scalar_type() == at::kFloat && weight.scalar_type() == at::kFloat,
      "winograd_conv3x3: input must be [N, C, H, W] and weight [out, C, 3, 3], both float32, got ", input.sizes(), " ",
      input.scalar_type(), " and ", weight.sizes(), " ", weight.scalar_type());
  TORCH_CHECK(
      !bias.has_value() || !bias->defined() || (bias->dim() == 1 && bias->size(0) == weight.size(0)),
      "winograd_conv3x3: bias must be [", weight.size(0), "]");
}

// Where vectors are shorter, the blocks do not fit into the registers.
#ifdef __AVX512F__
constexpr bool kIsFaster = true;
#else
constexpr bool kIsFaster = false;
#endif

at::Tensor direct(const at::Tensor& input, const at::Tensor& weight, const c10::optional<at::Tensor>& bias) {
  return at::conv2d(input, weight, bias, at::IntArrayRef({1, 1}), at::IntArrayRef({1, 1}), at::IntArrayRef({1, 1}), 1);
}

at::Tensor winograd_conv(const at::Tensor& input, const at::Tensor& weight, const c10::optional<at::Tensor>& bias) {
  check(input, weight, bias);
  if (!kIsFaster || input.numel() == 0) {
    return direct(input, weight, bias);
  }
  return convolve(
      input, transform_kernels(weight, false), weight.size(0), {bias.has_value() ? *bias : at::Tensor(), {}, false});
}

at::Tensor winograd_kernels(const at::Tensor& weight) {
  TORCH_CHECK(
      weight.dim() == 4 && weight.size(2) == 3 && weight.size(3) == 3 && weight.scalar_type() == at::kFloat,
      "winograd_kernels: weight must be [out, C, 3, 3] float32, got ", weight.sizes(), " ", weight.scalar_type());
  return transform_kernels(weight, false);
}

at::Tensor winograd_conv_by_kernels(
    const at::Tensor& input, const at::Tensor& kernels, int64_t out, const c10::optional<at::Tensor>& bias,
    const c10::optional<at::Tensor>& residual, bool relu) {
  TORCH_CHECK(
      input.dim() == 4 && out > 0 && input.scalar_type() == at::kFloat && kernels.scalar_type() == at::kFloat &&
          kernels.dim() == 1 && kernels.is_contiguous() &&
          kernels.size(0) == kPoints * kernel_step(input.size(1), rounded_up(out, kLanes)),
      "winograd_conv3x3_by_kernels: input must be [N, C, H, W] float32 and kernels what winograd_kernels makes of a "
      "weight [", out, ", C, 3, 3], got ", input.sizes(), " and ", kernels.sizes());
  Behind behind{{}, {}, relu};
  if (bias.has_value() && bias->defined()) {
    TORCH_CHECK(
        bias->dim() == 1 && bias->size(0) == out && bias->scalar_type() == at::kFloat,
        "winograd_conv3x3_by_kernels: bias must be [", out, "] float32, got ", bias->sizes());
    behind.bias = *bias;
  }
  if (residual.has_value() && residual->defined()) {
    const std::array<int64_t, 4> shape = {input.size(0), out, input.size(2), input.size(3)};
    TORCH_CHECK(
        residual->sizes() == at::IntArrayRef(shape) && residual->scalar_type() == at::kFloat,
        "winograd_conv3x3_by_kernels: residual must be ", at::IntArrayRef(shape), " float32, got ", residual->sizes());
    behind.residual = residual->contiguous(at::MemoryFormat::ChannelsLast);
  }
  return convolve(input, kernels, out, behind);
}

class WinogradConvFunction : public torch::autograd::Function<WinogradConvFunction> {
 public:
  /** `bias` has no elements where there is none: undefined tensors are not taken. */
  static Variable forward(AutogradContext* ctx, const Variable& input, const Variable& weight, const Variable& bias) {
    at::AutoDispatchBelowADInplaceOrView below;
    ctx->save_for_backward({input, weight});
    ctx->saved_data["has_bias"] = bias.numel() > 0;
    return convolve(
        input, transform_kernels(weight, false), weight.size(0), {bias.numel() > 0 ? bias : at::Tensor(), {}, false});
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &gradient = grads[0], &input = saved[0], &weight = saved[1];
    const bool has_bias = ctx->saved_data["has_bias"].toBool();
    const std::array<bool, 3> wanted = {
        ctx->needs_input_grad(0), ctx->needs_input_grad(1), has_bias && ctx->needs_input_grad(2)};
    if (at::GradMode::is_enabled()) {
      // Derivatives of derivatives are wanted: the engine's operator has them.
      const std::array<int64_t, 2> ones = {1, 1}, zeros = {0, 0};
      const std::array<int64_t, 1> count = {weight.size(0)};
      const auto all = at::convolution_backward(
          gradient, input, weight, has_bias ? at::OptionalIntArrayRef(at::IntArrayRef(count)) : at::OptionalIntArrayRef(),
          ones, ones, ones, false, zeros, 1, wanted);
      return {std::get<0>(all), std::get<1>(all), std::get<2>(all)};
    }
    variable_list result(3);
    if (wanted[0]) {
      result[0] = convolve(gradient, transform_kernels(weight, true), weight.size(1), {});
    }
    if (wanted[1]) {
      result[1] = weight_gradient(input, gradient, weight.suggest_memory_format());
    }
    if (wanted[2]) {
      result[2] = gradient.sum({0, 2, 3});
    }
    return result;
  }
};

at::Tensor winograd_conv_autograd(
    const at::Tensor& input, const at::Tensor& weight, const c10::optional<at::Tensor>& bias) {
  check(input, weight, bias);
  if (!kIsFaster || input.numel() == 0) {
    return direct(input, weight, bias);
  }
  const bool has_bias = bias.has_value() && bias->defined();
  return WinogradConvFunction::apply(input, weight, has_bias ? *bias : at::empty({0}, input.options()));
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CPU, m) {
  m.impl("winograd_conv3x3", TORCH_FN(goshawk::winograd_conv));
  m.impl("winograd_kernels", TORCH_FN(goshawk::winograd_kernels));
  m.impl("winograd_conv3x3_by_kernels", TORCH_FN(goshawk::winograd_conv_by_kernels));
}

TORCH_LIBRARY_IMPL(goshawk, Autograd, m) {
  m.impl("winograd_conv3x3", TORCH_FN(goshawk::winograd_conv_autograd));
}
