// The schemas of the operators that aten lacks. Each is implemented in the file named after it, per dispatch key.
#include <torch/library.h>

TORCH_LIBRARY(goshawk, m) {
  m.def(
      "roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width, "
      "int sampling_ratio=-1, bool aligned=False) -> Tensor");
  m.def(
      "roi_align_multilevel(Tensor[] inputs, Tensor rois, Tensor levels, float[] spatial_scales, int pooled_height, "
      "int pooled_width, int sampling_ratio=-1, bool aligned=False) -> Tensor");
  m.def(
      "roi_align_backward(Tensor grad, Tensor rois, Tensor levels, int[] input_sizes, float[] spatial_scales, "
      "int sampling_ratio, bool aligned, bool channels_last, bool deterministic=False) -> Tensor[]");

  m.def(
      "roi_pool(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width) "
      "-> (Tensor output, Tensor argmax)");
  m.def(
      "roi_pool_backward(Tensor grad, Tensor argmax, Tensor rois, int[] input_size, bool channels_last, "
      "bool deterministic=False) -> Tensor");

  m.def(
      "nms(Tensor boxes, Tensor scores, float iou_threshold, bool plus_one=False, bool suppress_equal=False) "
      "-> Tensor");
  m.def(
      "batched_nms(Tensor boxes, Tensor scores, Tensor groups, float iou_threshold, bool plus_one=False, "
      "bool suppress_equal=False) -> Tensor");
  m.def(
      "nms_first(Tensor boxes, Tensor scores, Tensor groups, float iou_threshold, int count, bool plus_one=False, "
      "bool suppress_equal=False) -> (Tensor kept, Tensor valid)");

  m.def("box_iou(Tensor a, Tensor b, bool plus_one=False) -> Tensor");
  m.def(
      "match_anchors(Tensor gt_boxes, Tensor boxes, float low, float high, bool allow_low_quality=False, "
      "bool plus_one=False, bool last_claims=False) -> Tensor");
  m.def(
      "match_batch(Tensor objects, Tensor present, Tensor boxes, Tensor? taking_part, float low, float high, "
      "bool allow_low_quality=False, bool plus_one=False, bool last_claims=False, float lowest_best_iou=0) -> Tensor");

  m.def(
      "sgd_steps_(Tensor(a!)[] parameters, Tensor[] gradients, Tensor(b!)[] velocities, float lr, float momentum, "
      "float share, float weight_decay, bool nesterov) -> ()");
  m.def(
      "adam_steps_(Tensor(a!)[] parameters, Tensor[] gradients, Tensor(b!)[] means, Tensor(c!)[] squares, "
      "Tensor(d!)[] largest, float[] step_sizes, float[] corrections, float kept, float decay, float beta1, float beta2, "
      "float eps) -> ()");
  m.def(
      "sgd_steps_by_engine_(Tensor(a!)[] parameters, Tensor[] gradients, Tensor(b!)[] velocities, float lr, "
      "float momentum, float dampening, float weight_decay, bool nesterov, bool first, Tensor? found_inf=None) -> ()");
  m.def(
      "adam_steps_by_engine_(Tensor(a!)[] parameters, Tensor[] gradients, Tensor(b!)[] means, Tensor(c!)[] squares, "
      "Tensor(d!)[] largest, Tensor[] steps, float lr, float beta1, float beta2, float eps, float weight_decay, "
      "bool decoupled, Tensor? found_inf=None) -> ()");
  m.def("gradient_norm(Tensor[] gradients, float p) -> Tensor");
  m.def("unscale_(Tensor(a!)[] gradients, Tensor(b!) found_inf, Tensor inverse_scale) -> ()");
  m.def(
      "update_scale_(Tensor(a!) scale, Tensor(b!) growth_tracker, Tensor found_inf, float growth_factor, "
      "float backoff_factor, int growth_interval) -> ()");

  m.def("with_bias_gradient(Tensor(a) output, Tensor bias) -> Tensor(a)");

  // relu(input * scale + shift + residual), [C] a channel; its gradient, of the input and, where wanted, of the residual.
  m.def("scale_shift(Tensor input, Tensor scale, Tensor shift, Tensor? residual, bool relu) -> Tensor");
  m.def(
      "scale_shift_gradient(Tensor gradient, Tensor? output, Tensor scale, bool of_residual) -> (Tensor, Tensor)");

  m.def("winograd_conv3x3(Tensor input, Tensor weight, Tensor? bias) -> Tensor");
  // For weights that do not learn: transformed once, then relu(convolution + bias + residual); no gradients.
  m.def("winograd_kernels(Tensor weight) -> Tensor");
  m.def(
      "winograd_conv3x3_by_kernels(Tensor input, Tensor kernels, int out, Tensor? bias, Tensor? residual, bool relu) "
      "-> Tensor");
  // relu(convolution of input + added, + bias) written to slices of channels, which share no memory with what is read.
  m.def(
      "winograd_conv3x3_into(Tensor(a!) into, Tensor input, Tensor? added, Tensor kernels, Tensor? bias, bool relu) -> ()");
  // relu(convolution + bias + residual) of maps that share a weight, with gradients; a residual goes with one map. Maps in
  // bfloat16 may have a weight in float32, bias too; scale is a factor of that weight, [out].
  m.def(
      "conv_of_maps(Tensor[] inputs, Tensor weight, Tensor? bias, Tensor? scale, Tensor? residual, int[2] stride, "
      "int[2] padding, int[2] dilation, int groups, bool relu, bool winograd) -> Tensor[]");
  m.def("depthwise_conv(Tensor input, Tensor weight, Tensor? bias, int[2] stride, int[2] padding) -> Tensor");

  // statistics: [2, C] float64, the mean and the sum of squared distances from it; sums: [2, C] float64, of the gradient and
  // of the gradient times the distance from the mean; count: values of a channel that they are of.
  m.def(
      "batch_norm(Tensor input, Tensor weight, Tensor bias, Tensor(a!) running_mean, Tensor(b!) running_var, "
      "float momentum, float eps) -> Tensor");
  m.def(
      "sync_batch_norm(Tensor input, Tensor weight, Tensor bias, Tensor(a!) running_mean, Tensor(b!) running_var, "
      "float momentum, float eps, int group) -> Tensor");
  m.def("batch_norm_statistics(Tensor input) -> Tensor");
  m.def(
      "batch_norm_apply(Tensor input, Tensor weight, Tensor bias, Tensor statistics, float count, float eps) -> Tensor");
  m.def("batch_norm_gradient_sums(Tensor gradient, Tensor input, Tensor statistics) -> Tensor");
  m.def(
      "batch_norm_gradient(Tensor gradient, Tensor input, Tensor weight, Tensor statistics, Tensor sums, float count, "
      "float eps) -> Tensor");

  m.def("group_norm(Tensor input, int groups, Tensor weight, Tensor bias, float eps) -> Tensor");

  m.def("sigmoid_focal_loss(Tensor logits, Tensor targets, Tensor weights, float alpha, float gamma) -> Tensor");
  m.def(
      "sigmoid_focal_loss_and_gradient(Tensor logits, Tensor targets, Tensor weights, float alpha, float gamma, "
      "bool with_gradient) -> (Tensor loss, Tensor gradient)");

  m.def("linear_assignment(Tensor costs, Tensor counts) -> Tensor");

  m.def(
      "masks_to_rle(Tensor masks, Tensor boxes, int height, int width, float threshold=0.5, bool strict=False, "
      "int padding=1) -> (Tensor counts, Tensor offsets)");
  m.def(
      "grid_masks_to_rle(Tensor maps, Tensor across_first, Tensor across_weights, Tensor down_first, "
      "Tensor down_weights, float threshold) -> (Tensor counts, Tensor offsets)");
  m.def(
      "crop_mask_targets(Tensor data, Tensor crops, Tensor rois, Tensor gt_index, int image_height, int image_width, "
      "int resolution) -> Tensor");
}
