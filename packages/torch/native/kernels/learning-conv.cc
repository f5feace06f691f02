// A pyramid's levels go through the heads' convolutions together: the weight is prepared once for all, small levels cost no passes of
// their own, and its gradient is one sum. The ReLU is done before the sums are written, and goes back in the pass that sums the
// bias's gradient (relu-gradient.h).
#include "learning-conv.h"

#include "half-conv.h"
#include "half-products.h"
#include "relu-gradient.h"
#include "winograd.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>

namespace goshawk {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

/** convolution + bias + residual in one pass by oneDNN, which libtorch has from 2.0 on; undefined where it has not. */
at::Tensor added_conv(
    const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& residual,
    const ConvPlace& place) {
  static const auto op = c10::Dispatcher::singleton().findSchema({"mkldnn::_convolution_pointwise", "binary"});
  const auto type = input.scalar_type();
  if (!op || !sums_exactly(type) || !multiplies(type) || input.device().type() != at::kCPU) {
    return {};
  }
  const std::vector<int64_t> padding(place.padding.begin(), place.padding.end());
  const std::vector<int64_t> stride(place.stride.begin(), place.stride.end());
  const std::vector<int64_t> dilation(place.dilation.begin(), place.dilation.end());
  torch::jit::Stack stack = {input, residual, weight};
  stack.emplace_back(bias.defined() ? c10::IValue(bias) : c10::IValue());
  stack.emplace_back(padding);
  stack.emplace_back(stride);
  stack.emplace_back(dilation);
  stack.emplace_back(place.groups);
  stack.emplace_back("add");
  stack.emplace_back(at::Scalar(1));
  // Its own ReLU makes zeros of what is no number, by which a training would go on with a weight that is none.
  stack.emplace_back();
  stack.emplace_back(c10::impl::GenericList(c10::OptionalType::create(c10::NumberType::get())));
  stack.emplace_back();
  op->callBoxed(&stack);
  return stack.front().toTensor();
}

at::Tensor engine_conv(
    const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& residual,
    const ConvPlace& place, bool relu) {
  at::Tensor output;
  if (residual.defined()) {
    output = added_conv(input, weight, bias, residual, place);
  }
  if (!output.defined()) {
    const c10::optional<at::Tensor> offset = bias.defined() ? c10::optional<at::Tensor>(bias) : c10::nullopt;
    output = at::conv2d(input, weight, offset, place.stride, place.padding, place.dilation, place.groups);
    if (residual.defined()) {
      output.add_(residual);
    }
  }
  return relu ? output.relu_() : output;
}

half_conv::Shape half_shape(const at::Tensor& weight, const ConvPlace& place) {
  return {weight.size(2), place.dilation[0], place.stride[0]};
}

/** Whether the maps are bfloat16 that is computed in float32. */
bool is_widened(const at::Tensor& map, const at::Tensor& weight, ConvWay way) {
  return way != ConvWay::half && map.scalar_type() != weight.scalar_type();
}

/** As bfloat16 holds it, in float32. */
at::Tensor rounded(const at::Tensor& values) {
  return values.defined() ? values.to(at::kBFloat16).to(at::kFloat) : values;
}

variable_list cast(at::TensorList maps, at::ScalarType type) {
  variable_list result;
  for (const at::Tensor& map : maps) {
    result.push_back(map.defined() ? map.to(type) : map);
  }
  return result;
}

at::Tensor rounded_weight(const at::Tensor& weight, const at::Tensor& scale) {
  return rounded(scale.defined() ? weight * scale.view({-1, 1, 1, 1}) : weight);
}

variable_list forward_of(
    at::TensorList inputs, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& residual,
    const ConvRule& rule) {
  const auto& [place, way, relu, scale] = rule;
  if (is_widened(inputs[0], weight, way)) {
    const at::Tensor other = residual.defined() ? residual.to(at::kFloat) : residual;
    const auto sums = forward_of(
        cast(inputs, at::kFloat), rounded_weight(weight, scale), rounded(bias), other, {place, way, relu, {}});
    return cast(sums, at::kBFloat16);
  }
  if (way == ConvWay::winograd) {
    return winograd::convolve(
        inputs, winograd::transform_kernels(weight, false), weight.size(0), {bias, residual, relu});
  }
  if (way == ConvWay::half) {
    return half_conv::convolve(inputs, weight, scale, half_shape(weight, place), {bias, residual, relu});
  }
  variable_list outputs;
  for (const at::Tensor& input : inputs) {
    outputs.push_back(engine_conv(input, weight, bias, residual, place, relu));
  }
  return outputs;
}

/** [N, C, H, W] that lies pixel by pixel as a matrix [N * H * W, C]. */
at::Tensor pixel_rows(const at::Tensor& map) {
  return map.permute({0, 2, 3, 1}).reshape({-1, map.size(1)});
}

/** Whether the gradients of a convolution are two matrix products that MKL makes faster than oneDNN makes them. */
bool is_matrix_product(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight, const ConvPlace& place) {
  const auto all = [](const std::array<int64_t, 2>& pair, int64_t value) { return pair[0] == value && pair[1] == value; };
  return at::hasMKL() && !at::GradMode::is_enabled() && weight.size(2) == 1 && weight.size(3) == 1 && place.groups == 1 &&
      all(place.stride, 1) && all(place.padding, 0) && weight.device().is_cpu() && weight.scalar_type() == at::kFloat &&
      gradient.is_contiguous(at::MemoryFormat::ChannelsLast) && input.is_contiguous(at::MemoryFormat::ChannelsLast);
}

/** By a 1x1 kernel at stride 1: of the weight gradient^T * input, of the input gradient * weight, both over rows of pixels. */
std::array<at::Tensor, 2> matrix_gradient(
    const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight, bool of_input, bool of_weight) {
  const int64_t out = weight.size(0), in = weight.size(1);
  const at::Tensor rows = pixel_rows(gradient);
  std::array<at::Tensor, 2> result;
  if (of_input) {
    result[0] = at::mm(rows, weight.reshape({out, in}))
                    .view({input.size(0), input.size(2), input.size(3), in})
                    .permute({0, 3, 1, 2});
  }
  if (of_weight) {
    result[1] = at::mm(rows.t(), pixel_rows(input)).view({out, in, 1, 1});
  }
  return result;
}

std::array<at::Tensor, 2> engine_gradient(
    const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight, const ConvPlace& place, bool of_input,
    bool of_weight) {
  if (is_matrix_product(gradient, input, weight, place)) {
    return matrix_gradient(gradient, input, weight, of_input, of_weight);
  }
  const std::array<int64_t, 2> zeros = {0, 0};
  const auto both = at::convolution_backward(
      gradient, input, weight, at::OptionalIntArrayRef(), place.stride, place.padding, place.dilation, false, zeros,
      place.groups, {of_input, of_weight, false});
  return {std::get<0>(both), std::get<1>(both)};
}

/** What the tensors of a call are, in their order. */
struct Operands {
  size_t maps;
  bool has_bias, has_residual;

  size_t weight() const {
    return maps;
  }
  size_t bias() const {
    return maps + 1;
  }
  size_t residual() const {
    return maps + 1 + has_bias;
  }
  size_t count() const {
    return maps + 1 + has_bias + has_residual;
  }
};

class LearningConvFunction : public torch::autograd::Function<LearningConvFunction> {
 public:
  /** `operands`: the maps, the weight, the bias and the residual, where there are such. */
  static variable_list forward(
      AutogradContext* ctx, at::TensorList operands, Operands kinds, ConvRule rule) {
    at::AutoDispatchBelowADInplaceOrView below;
    const at::TensorList inputs = operands.slice(0, kinds.maps);
    const at::Tensor& weight = operands[kinds.weight()];
    const variable_list outputs = forward_of(
        inputs, weight, kinds.has_bias ? operands[kinds.bias()] : at::Tensor(),
        kinds.has_residual ? operands[kinds.residual()] : at::Tensor(), rule);
    const ConvPlace& place = rule.place;
    variable_list saved(inputs.begin(), inputs.end());
    saved.push_back(weight);
    if (rule.relu) {
      saved.insert(saved.end(), outputs.begin(), outputs.end());
    }
    ctx->save_for_backward(std::move(saved));
    ctx->set_materialize_grads(false);
    auto& data = ctx->saved_data;
    data["maps"] = static_cast<int64_t>(kinds.maps);
    data["has_bias"] = kinds.has_bias;
    data["has_residual"] = kinds.has_residual;
    data["place"] = std::vector<int64_t>{
        place.stride[0], place.stride[1], place.padding[0], place.padding[1], place.dilation[0], place.dilation[1],
        place.groups};
    data["relu"] = rule.relu;
    data["way"] = static_cast<int64_t>(rule.way);
    if (rule.scale.defined()) data["scale"] = rule.scale;
    return outputs;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    auto& data = ctx->saved_data;
    const Operands kinds{
        static_cast<size_t>(data["maps"].toInt()), data["has_bias"].toBool(), data["has_residual"].toBool()};
    const auto numbers = data["place"].toIntVector();
    const ConvPlace place{
        {numbers[0], numbers[1]}, {numbers[2], numbers[3]}, {numbers[4], numbers[5]}, numbers[6]};
    const bool relu = data["relu"].toBool();
    const auto way = static_cast<ConvWay>(data["way"].toInt());
    const at::Tensor scale = data.count("scale") ? data["scale"].toTensor() : at::Tensor();
    const auto saved = ctx->get_saved_variables();
    const at::Tensor& weight = saved[kinds.weight()];
    const bool of_weight = ctx->needs_input_grad(kinds.weight());
    const bool of_bias = kinds.has_bias && ctx->needs_input_grad(kinds.bias());
    const bool of_residual = kinds.has_residual && ctx->needs_input_grad(kinds.residual());
    // Derivatives of derivatives are wanted: by operators that have them.
    const bool by_engine = at::GradMode::is_enabled() || !sums_exactly(weight.scalar_type());
    variable_list result(kinds.count() + 2);
    std::vector<double> sums(static_cast<size_t>(of_bias && !by_engine ? weight.size(0) : 0));
    // Of the maps that have one, with the places of those maps.
    variable_list passed;
    std::vector<size_t> places;
    for (size_t map = 0; map < kinds.maps; ++map) {
      if (!grads[map].defined()) continue;
      const at::Tensor output = relu ? saved[kinds.weight() + 1 + map] : at::Tensor();
      if (!by_engine) {
        passed.push_back(relu_gradient(grads[map], output, of_bias ? &sums : nullptr));
      } else {
        passed.push_back(relu ? grads[map].masked_fill(output.detach() <= 0, 0) : grads[map]);
        if (of_bias) add_to(result[kinds.bias()], passed.back().sum({0, 2, 3}).to(weight.scalar_type()));
      }
      places.push_back(map);
    }
    if (passed.empty()) return result;
    if (of_bias && !by_engine) result[kinds.bias()] = bias_gradient(sums, weight.scalar_type());
    if (of_residual) result[kinds.residual()] = passed[0];
    const std::vector<bool> wanted = wanted_of(ctx, places);
    const Gradients own = by_engine ? engine_gradients(saved, passed, places, wanted, of_weight, scale, place, kinds)
                                    : own_gradients(saved, passed, places, wanted, of_weight, scale, place, way, kinds);
    for (size_t each = 0; each < places.size(); ++each) {
      result[places[each]] = own.inputs[each];
    }
    result[kinds.weight()] = own.weight;
    return result;
  }

 private:
  static void add_to(at::Tensor& sum, const at::Tensor& value) {
    if (!sum.defined()) {
      sum = value;
    } else if (at::GradMode::is_enabled()) {
      sum = sum + value;
    } else {
      sum.add_(value);
    }
  }

  /** Of the maps at `places`, undefined where none is wanted. */
  struct Gradients {
    variable_list inputs;
    at::Tensor weight;
  };

  static std::vector<bool> wanted_of(AutogradContext* ctx, const std::vector<size_t>& places) {
    std::vector<bool> wanted;
    for (const size_t place : places) {
      wanted.push_back(ctx->needs_input_grad(place));
    }
    return wanted;
  }

  /** `of`(maps, slopes) for those that are wanted, in their places. */
  template <typename Of>
  static variable_list input_gradients(
      const variable_list& inputs, const variable_list& passed, const std::vector<bool>& wanted, const Of& of) {
    variable_list maps, slopes, result(passed.size());
    for (size_t each = 0; each < passed.size(); ++each) {
      if (!wanted[each]) continue;
      maps.push_back(inputs[each]);
      slopes.push_back(passed[each]);
    }
    if (maps.empty()) return result;
    const variable_list gradients = of(maps, slopes);
    for (size_t each = 0, next = 0; each < passed.size(); ++each) {
      if (wanted[each]) result[each] = gradients[next++];
    }
    return result;
  }

  static variable_list at_places(const variable_list& saved, const std::vector<size_t>& places) {
    variable_list result;
    for (const size_t place : places) {
      result.push_back(saved[place]);
    }
    return result;
  }

  /** Of maps and weights whatever their types are, by the engine's operators. */
  static Gradients engine_gradients(
      const variable_list& saved, const variable_list& passed, const std::vector<size_t>& places,
      const std::vector<bool>& wanted, bool of_weight, const at::Tensor& scale, const ConvPlace& place,
      const Operands& kinds) {
    const at::Tensor& weight = saved[kinds.weight()];
    // What half_conv reads in float32.
    const at::Tensor scaled = scale.defined() ? weight * scale.view({-1, 1, 1, 1}) : weight;
    const at::Tensor typed = scaled.to(passed[0].scalar_type());
    Gradients result;
    result.inputs.resize(passed.size());
    for (size_t each = 0; each < passed.size(); ++each) {
      if (!wanted[each] && !of_weight) continue;
      const auto [input_gradient, weight_gradient] =
          engine_gradient(passed[each], saved[places[each]], typed, place, wanted[each], of_weight);
      result.inputs[each] = input_gradient;
      if (!of_weight) continue;
      const at::Tensor own = weight_gradient.to(weight.scalar_type());
      add_to(result.weight, scale.defined() ? own * scale.view({-1, 1, 1, 1}) : own);
    }
    return result;
  }

  static Gradients own_gradients(
      const variable_list& saved, const variable_list& passed, const std::vector<size_t>& places,
      const std::vector<bool>& wanted, bool of_weight, const at::Tensor& scale, const ConvPlace& place, ConvWay way,
      const Operands& kinds) {
    const at::Tensor& weight = saved[kinds.weight()];
    if (is_widened(saved[places[0]], weight, way)) {
      variable_list operands = saved;
      for (const size_t map : places) operands[map] = saved[map].to(at::kFloat);
      operands[kinds.weight()] = rounded_weight(weight, scale);
      Gradients result =
          own_gradients(operands, cast(passed, at::kFloat), places, wanted, of_weight, {}, place, way, kinds);
      result.inputs = cast(result.inputs, at::kBFloat16);
      if (result.weight.defined() && scale.defined()) result.weight.mul_(scale.view({-1, 1, 1, 1}));
      return result;
    }
    switch (way) {
      case ConvWay::half:
        return half_gradients(saved, passed, places, wanted, of_weight, scale, half_shape(weight, place), kinds);
      case ConvWay::winograd:
        return winograd_gradients(saved, passed, places, wanted, of_weight, kinds);
      default:
        return engine_gradients(saved, passed, places, wanted, of_weight, scale, place, kinds);
    }
  }

  static Gradients winograd_gradients(
      const variable_list& saved, const variable_list& passed, const std::vector<size_t>& places,
      const std::vector<bool>& wanted, bool of_weight, const Operands& kinds) {
    const at::Tensor& weight = saved[kinds.weight()];
    const variable_list inputs = at_places(saved, places);
    Gradients result;
    result.inputs = input_gradients(inputs, passed, wanted, [&](const variable_list&, const variable_list& slopes) {
      return winograd::convolve(slopes, winograd::transform_kernels(weight, true), weight.size(1), {});
    });
    if (of_weight) result.weight = winograd::weight_gradient(inputs, passed, weight.suggest_memory_format());
    return result;
  }

  static Gradients half_gradients(
      const variable_list& saved, const variable_list& passed, const std::vector<size_t>& places,
      const std::vector<bool>& wanted, bool of_weight, const at::Tensor& scale, const half_conv::Shape& shape,
      const Operands& kinds) {
    const at::Tensor& weight = saved[kinds.weight()];
    const variable_list inputs = at_places(saved, places);
    Gradients result;
    result.inputs = input_gradients(inputs, passed, wanted, [&](const variable_list& maps, const variable_list& slopes) {
      return half_conv::input_gradients(maps, slopes, weight, scale, shape);
    });
    if (of_weight) result.weight = half_conv::weight_gradient(inputs, passed, weight, scale, shape);
    return result;
  }
};

std::vector<at::Tensor> conv_of_maps(
    at::TensorList inputs, const at::Tensor& weight, const c10::optional<at::Tensor>& bias,
    const c10::optional<at::Tensor>& scale, const c10::optional<at::Tensor>& residual, at::IntArrayRef stride,
    at::IntArrayRef padding, at::IntArrayRef dilation, int64_t groups, bool relu, bool winograd) {
  const at::Tensor offset = bias.has_value() ? *bias : at::Tensor();
  const at::Tensor factors = scale.has_value() ? *scale : at::Tensor();
  const at::Tensor other = residual.has_value() ? *residual : at::Tensor();
  const ConvPlace place{{stride[0], stride[1]}, {padding[0], padding[1]}, {dilation[0], dilation[1]}, groups};
  TORCH_CHECK(!inputs.empty(), "conv_of_maps: there are no maps");
  TORCH_CHECK(!other.defined() || inputs.size() == 1, "conv_of_maps: a residual goes with one map, got ", inputs.size());
  const bool is_half =
      weight.dim() == 4 && inputs[0].scalar_type() == at::kBFloat16 && weight.scalar_type() == at::kFloat;
  const bool by_tiles = is_half && !winograd && half_conv::is_possible(weight, stride, padding, dilation, groups);
  const auto type = is_half ? at::kBFloat16 : weight.scalar_type();
  for (const at::Tensor& input : inputs) {
    TORCH_CHECK(
        input.dim() == 4 && weight.dim() == 4 && input.size(1) == weight.size(1) * groups && input.numel() > 0 &&
            input.scalar_type() == type,
        "conv_of_maps: inputs must be [N, ", weight.dim() == 4 ? weight.size(1) * groups : 0,
        ", H, W] and weight [out, C, height, width] of their type, or float32 for bfloat16, got ", input.sizes(), " ", input.scalar_type(), " and ",
        weight.sizes(), " ", weight.scalar_type());
  }
  TORCH_CHECK(
      !winograd || (winograd::kIsFaster && weight.size(2) == 3 && weight.size(3) == 3 && groups == 1 &&
                    weight.scalar_type() == at::kFloat && stride[0] == 1 && stride[1] == 1 && padding[0] == 1 &&
                    padding[1] == 1 && dilation[0] == 1 && dilation[1] == 1),
      "conv_of_maps: winograd is for 3x3 kernels in float32 at stride 1 with a padding of 1, got ", weight.sizes());
  for (const at::Tensor& each : {offset, factors}) {
    TORCH_CHECK(
        !each.defined() || (each.dim() == 1 && each.size(0) == weight.size(0) && each.scalar_type() == weight.scalar_type()),
        "conv_of_maps: bias and scale must be [", weight.size(0), "] of the weight's type, got ", each.sizes(), " ",
        each.scalar_type());
  }
  TORCH_CHECK(
      !factors.defined() || (is_half && !factors.requires_grad()),
      "conv_of_maps: a scale goes with maps in bfloat16 and a weight in float32, and gets no gradient");
  TORCH_CHECK(
      !other.defined() || other.scalar_type() == type, "conv_of_maps: the residual must be of the maps' type, got ",
      other.scalar_type());
  const ConvWay way = by_tiles ? ConvWay::half : winograd ? ConvWay::winograd : ConvWay::engine;
  return learning_conv(inputs, weight, offset, other, {place, way, relu, factors});
}

std::vector<at::Tensor> conv_of_maps_without_gradient(
    at::TensorList inputs, const at::Tensor& weight, const c10::optional<at::Tensor>& bias,
    const c10::optional<at::Tensor>& scale, const c10::optional<at::Tensor>& residual, at::IntArrayRef stride,
    at::IntArrayRef padding, at::IntArrayRef dilation, int64_t groups, bool relu, bool winograd) {
  const at::NoGradGuard off;
  return conv_of_maps(inputs, weight, bias, scale, residual, stride, padding, dilation, groups, relu, winograd);
}

} // namespace

std::vector<at::Tensor> learning_conv(
    at::TensorList inputs, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& residual,
    const ConvRule& rule) {
  if (!at::GradMode::is_enabled()) {
    return forward_of(inputs, weight, bias, residual, rule);
  }
  const Operands kinds{inputs.size(), bias.defined(), residual.defined()};
  std::vector<at::Tensor> operands(inputs.begin(), inputs.end());
  operands.push_back(weight);
  if (kinds.has_bias) operands.push_back(bias);
  if (kinds.has_residual) operands.push_back(residual);
  return LearningConvFunction::apply(at::TensorList(operands), kinds, rule);
}

} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CPU, m) {
  m.impl("conv_of_maps", TORCH_FN(goshawk::conv_of_maps_without_gradient));
}

TORCH_LIBRARY_IMPL(goshawk, Autograd, m) {
  m.impl("conv_of_maps", TORCH_FN(goshawk::conv_of_maps));
}
