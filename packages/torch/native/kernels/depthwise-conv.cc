// Depthwise convolutions, a kernel for each channel, over maps in the channels_last format in float32: the engine's, but for the
// gradient of the weight. oneDNN's takes ten times as long as the rest where the kernel is wider than 3.
//
// That gradient is summed line by line in single precision and over lines in double, in groups of lines whose number does not depend
// on the threads.
#include "lanes.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <vector>

namespace goshawk {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

constexpr int64_t kWidestKernel = 7;
constexpr int64_t kLineGroups = 16;

/** One line of the output over one line of the input; rows of `channels` floats. */
struct LinePair {
  const float *slopes, *maps;
  int64_t output, input, channels, stride, padding;
};

/** Adds the products of a vector of channels from `c` on with the input under each place of a kernel's line to sums, [Kernel, C]. */
template <int64_t Kernel>
void add_lanes(const LinePair& pair, int64_t c, double* sums) {
  Vector line[Kernel] = {};
  for (int64_t left = 0; left < pair.output; ++left) {
    const Vector slope = load_vector(pair.slopes + left * pair.channels + c);
    const int64_t first = left * pair.stride - pair.padding;
    const float* under = pair.maps + first * pair.channels + c;
    if (first >= 0 && first + Kernel <= pair.input) {
#pragma GCC unroll 8
      for (int64_t u = 0; u < Kernel; ++u) {
        line[u] += slope * load_vector(under + u * pair.channels);
      }
    } else {
#pragma GCC unroll 8
      for (int64_t u = 0; u < Kernel; ++u) {
        if (first + u >= 0 && first + u < pair.input) {
          line[u] += slope * load_vector(under + u * pair.channels);
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int64_t u = 0; u < Kernel; ++u) {
    double* into = sums + u * pair.channels + c;
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      into[lane] += static_cast<double>(line[u][lane]);
    }
  }
}

/** The same for one channel. */
void add_channel(const LinePair& pair, int64_t kernel, int64_t c, double* sums) {
  for (int64_t left = 0; left < pair.output; ++left) {
    const auto slope = static_cast<double>(pair.slopes[left * pair.channels + c]);
    for (int64_t u = 0; u < kernel; ++u) {
      const int64_t column = left * pair.stride - pair.padding + u;
      if (column >= 0 && column < pair.input) {
        sums[u * pair.channels + c] += slope * static_cast<double>(pair.maps[column * pair.channels + c]);
      }
    }
  }
}

using AddLanes = void (*)(const LinePair&, int64_t, double*);
constexpr std::array<AddLanes, kWidestKernel> kAddLanes = {add_lanes<1>, add_lanes<2>, add_lanes<3>, add_lanes<4>,
                                                           add_lanes<5>, add_lanes<6>, add_lanes<7>};

void add_line(const LinePair& pair, int64_t kernel, double* sums) {
  const AddLanes add = kAddLanes[static_cast<size_t>(kernel - 1)];
  int64_t c = 0;
  for (; c + kLanes <= pair.channels; c += kLanes) {
    add(pair, c, sums);
  }
  for (; c < pair.channels; ++c) {
    add_channel(pair, kernel, c, sums);
  }
}

at::Tensor depthwise_weight_gradient(
    const at::Tensor& input, const at::Tensor& gradient, const at::Tensor& weight, const std::vector<int64_t>& stride,
    const std::vector<int64_t>& padding) {
  const at::Tensor maps = input.contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor slopes = gradient.contiguous(at::MemoryFormat::ChannelsLast);
  const int64_t channels = maps.size(1), height = maps.size(2), width = maps.size(3);
  const int64_t rows = slopes.size(2), columns = slopes.size(3), lines = slopes.size(0) * rows;
  const int64_t kernel_height = weight.size(2), kernel_width = weight.size(3);
  const int64_t groups = std::min(kLineGroups, lines);
  const at::Tensor sums =
      at::zeros({groups, kernel_height * kernel_width, channels}, maps.options().dtype(at::kDouble));
  const float *from = maps.data_ptr<float>(), *slope = slopes.data_ptr<float>();
  double* into = sums.data_ptr<double>();
  at::parallel_for(0, groups, 1, [&](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; ++group) {
      for (int64_t line = lines * group / groups; line < lines * (group + 1) / groups; ++line) {
        for (int64_t v = 0; v < kernel_height; ++v) {
          const int64_t row = line % rows * stride[0] - padding[0] + v;
          if (row < 0 || row >= height) continue;
          const LinePair pair = {
              slope + line * columns * channels, from + (line / rows * height + row) * width * channels, columns,
              width, channels, stride[1], padding[1]};
          add_line(pair, kernel_width, into + (group * kernel_height + v) * kernel_width * channels);
        }
      }
    }
  });
  const at::Tensor total = sums.sum(0).t().reshape(weight.sizes()).to(at::kFloat);
  return total.contiguous(weight.suggest_memory_format());
}

at::Tensor depthwise_conv(
    const at::Tensor& input, const at::Tensor& weight, const c10::optional<at::Tensor>& bias, at::IntArrayRef stride,
    at::IntArrayRef padding) {
  TORCH_CHECK(
      input.dim() == 4 && weight.dim() == 4 && weight.size(0) == input.size(1) && weight.size(1) == 1 &&
          input.scalar_type() == at::kFloat && weight.scalar_type() == at::kFloat && weight.size(3) <= kWidestKernel,
      "depthwise_conv: input must be [N, C, H, W] and weight [C, 1, kh, kw], kw up to ", kWidestKernel,
      ", both float32, got ", input.sizes(), " ", input.scalar_type(), " and ", weight.sizes(), " ",
      weight.scalar_type());
  return at::conv2d(input, weight, bias, stride, padding, at::IntArrayRef({1, 1}), input.size(1));
}

class DepthwiseConvFunction : public torch::autograd::Function<DepthwiseConvFunction> {
 public:
  /** `bias` has no elements where there is none: undefined tensors are not taken. It gets no gradient. */
  static Variable forward(
      AutogradContext* ctx, const Variable& input, const Variable& weight, const Variable& bias,
      std::vector<int64_t> stride, std::vector<int64_t> padding) {
    at::AutoDispatchBelowADInplaceOrView below;
    ctx->save_for_backward({input, weight});
    ctx->saved_data["stride"] = stride;
    ctx->saved_data["padding"] = padding;
    return depthwise_conv(
        input, weight, bias.numel() > 0 ? c10::optional<at::Tensor>(bias) : c10::nullopt, stride, padding);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &input = saved[0], &weight = saved[1];
    const auto stride = ctx->saved_data["stride"].toIntVector(), padding = ctx->saved_data["padding"].toIntVector();
    // Where derivatives of derivatives are wanted the engine's operator has them.
    const bool is_own = !at::GradMode::is_enabled() && input.numel() > 0;
    const std::array<bool, 3> by_engine = {
        ctx->needs_input_grad(0), ctx->needs_input_grad(1) && !is_own, false};
    variable_list result(5);
    if (by_engine[0] || by_engine[1]) {
      const std::array<int64_t, 2> ones = {1, 1}, zeros = {0, 0};
      const auto all = at::convolution_backward(
          grads[0], input, weight, c10::nullopt, stride, padding, ones, false, zeros, weight.size(0), by_engine);
      result[0] = std::get<0>(all);
      result[1] = std::get<1>(all);
    }
    if (is_own && ctx->needs_input_grad(1)) {
      result[1] = depthwise_weight_gradient(input, grads[0], weight, stride, padding);
    }
    return result;
  }
};

at::Tensor depthwise_conv_autograd(
    const at::Tensor& input, const at::Tensor& weight, const c10::optional<at::Tensor>& bias, at::IntArrayRef stride,
    at::IntArrayRef padding) {
  const bool has_bias = bias.has_value() && bias->defined();
  TORCH_CHECK(!has_bias || !bias->requires_grad(), "depthwise_conv: the bias must not want a gradient");
  return DepthwiseConvFunction::apply(
      input, weight, has_bias ? *bias : at::empty({0}, input.options()), stride.vec(), padding.vec());
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CPU, m) {
  m.impl("depthwise_conv", TORCH_FN(goshawk::depthwise_conv));
}

TORCH_LIBRARY_IMPL(goshawk, Autograd, m) {
  m.impl("depthwise_conv", TORCH_FN(goshawk::depthwise_conv_autograd));
}
