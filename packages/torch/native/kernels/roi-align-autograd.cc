// Gradients of RoIAlign with respect to the feature maps, for any device: the operators below are reached through the
// dispatcher. RoIs get no gradient, as in the paper.
#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <string>
#include <tuple>
#include <vector>

namespace goshawk {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

at::Tensor align(
    at::TensorList inputs, const at::Tensor& rois, const at::Tensor& levels, at::ArrayRef<double> spatial_scales,
    int64_t pooled_height, int64_t pooled_width, int64_t sampling_ratio, bool aligned) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("goshawk::roi_align_multilevel", "")
                             .typed<at::Tensor(
                                 at::TensorList, const at::Tensor&, const at::Tensor&, at::ArrayRef<double>, int64_t,
                                 int64_t, int64_t, bool)>();
  return op.call(inputs, rois, levels, spatial_scales, pooled_height, pooled_width, sampling_ratio, aligned);
}

std::vector<at::Tensor> align_backward(
    const at::Tensor& grad, const at::Tensor& rois, const at::Tensor& levels, at::IntArrayRef input_sizes,
    at::ArrayRef<double> spatial_scales, int64_t sampling_ratio, bool aligned, bool channels_last, bool deterministic) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("goshawk::roi_align_backward", "")
                             .typed<std::vector<at::Tensor>(
                                 const at::Tensor&, const at::Tensor&, const at::Tensor&, at::IntArrayRef,
                                 at::ArrayRef<double>, int64_t, bool, bool, bool)>();
  return op.call(
      grad, rois, levels, input_sizes, spatial_scales, sampling_ratio, aligned, channels_last, deterministic);
}

class RoiAlignFunction : public torch::autograd::Function<RoiAlignFunction> {
 public:
  static variable_list forward(
      AutogradContext* ctx, at::TensorList inputs, const Variable& rois, const Variable& levels,
      const std::vector<double>& spatial_scales, int64_t pooled_height, int64_t pooled_width, int64_t sampling_ratio,
      bool aligned) {
    at::AutoDispatchBelowADInplaceOrView below;
    at::Tensor output =
        align(inputs, rois, levels, spatial_scales, pooled_height, pooled_width, sampling_ratio, aligned);
    std::vector<int64_t> sizes;
    for (const at::Tensor& input : inputs) {
      sizes.insert(sizes.end(), input.sizes().begin(), input.sizes().end());
    }
    ctx->save_for_backward({rois, levels});
    ctx->saved_data["sizes"] = sizes;
    ctx->saved_data["scales"] = spatial_scales;
    ctx->saved_data["sampling_ratio"] = sampling_ratio;
    ctx->saved_data["aligned"] = aligned;
    ctx->saved_data["channels_last"] =
        inputs[0].size(1) > 1 && inputs[0].suggest_memory_format() == at::MemoryFormat::ChannelsLast;
    return {output};
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const auto sizes = ctx->saved_data["sizes"].toIntVector();
    const auto scales = ctx->saved_data["scales"].toDoubleVector();
    variable_list result = align_backward(
        grads[0], saved[0], saved[1], sizes, scales, ctx->saved_data["sampling_ratio"].toInt(),
        ctx->saved_data["aligned"].toBool(), ctx->saved_data["channels_last"].toBool(),
        at::globalContext().deterministicAlgorithms());
    // rois, levels and the five options.
    result.resize(result.size() + 7);
    return result;
  }
};

/** The backward pass is linear in grad, so its own derivative is RoIAlign of the incoming gradients. */
class RoiAlignBackwardFunction : public torch::autograd::Function<RoiAlignBackwardFunction> {
 public:
  static variable_list forward(
      AutogradContext* ctx, const Variable& grad, const Variable& rois, const Variable& levels,
      const std::vector<int64_t>& input_sizes, const std::vector<double>& spatial_scales, int64_t sampling_ratio,
      bool aligned, bool channels_last, bool deterministic) {
    at::AutoDispatchBelowADInplaceOrView below;
    ctx->save_for_backward({rois, levels});
    ctx->saved_data["scales"] = spatial_scales;
    ctx->saved_data["height"] = grad.size(2);
    ctx->saved_data["width"] = grad.size(3);
    ctx->saved_data["sampling_ratio"] = sampling_ratio;
    ctx->saved_data["aligned"] = aligned;
    return align_backward(
        grad, rois, levels, input_sizes, spatial_scales, sampling_ratio, aligned, channels_last, deterministic);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const auto scales = ctx->saved_data["scales"].toDoubleVector();
    variable_list result(9);
    result[0] = align(
        grads, saved[0], saved[1], scales, ctx->saved_data["height"].toInt(), ctx->saved_data["width"].toInt(),
        ctx->saved_data["sampling_ratio"].toInt(), ctx->saved_data["aligned"].toBool());
    return result;
  }
};

at::Tensor roi_align_multilevel_autograd(
    at::TensorList inputs, const at::Tensor& rois, const at::Tensor& levels, at::ArrayRef<double> spatial_scales,
    int64_t pooled_height, int64_t pooled_width, int64_t sampling_ratio, bool aligned) {
  return RoiAlignFunction::apply(
      inputs, rois, levels, spatial_scales.vec(), pooled_height, pooled_width, sampling_ratio, aligned)[0];
}

std::vector<at::Tensor> roi_align_backward_autograd(
    const at::Tensor& grad, const at::Tensor& rois, const at::Tensor& levels, at::IntArrayRef input_sizes,
    at::ArrayRef<double> spatial_scales, int64_t sampling_ratio, bool aligned, bool channels_last, bool deterministic) {
  return RoiAlignBackwardFunction::apply(
      grad, rois, levels, input_sizes.vec(), spatial_scales.vec(), sampling_ratio, aligned, channels_last, deterministic);
}

at::Tensor roi_align(
    const at::Tensor& input, const at::Tensor& rois, double spatial_scale, int64_t pooled_height, int64_t pooled_width,
    int64_t sampling_ratio, bool aligned) {
  TORCH_CHECK(
      rois.dim() == 2 && rois.size(1) == 5, "roi_align: rois must be [K, 5], got ", rois.sizes(), " ",
      rois.scalar_type(), ": give batch index, x1, y1, x2, y2");
  const at::Tensor levels = at::zeros({rois.size(0)}, rois.options().dtype(at::kLong));
  return align(input, rois, levels, spatial_scale, pooled_height, pooled_width, sampling_ratio, aligned);
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, Autograd, m) {
  m.impl("roi_align_multilevel", TORCH_FN(goshawk::roi_align_multilevel_autograd));
  m.impl("roi_align_backward", TORCH_FN(goshawk::roi_align_backward_autograd));
}

// One feature map is a pyramid of one level.
TORCH_LIBRARY_IMPL(goshawk, CompositeImplicitAutograd, m) {
  m.impl("roi_align", TORCH_FN(goshawk::roi_align));
}
