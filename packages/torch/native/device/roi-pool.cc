// RoIPool on a card; defined in kernels/roi-pool.cc. An image that is not there is no error here, which would make the host
// wait: such a RoI gives zeros, and returns no gradient.
#include "device-operators.h"
#include "fixed-point.h"
#include "kernels/roi-pool.h"
#include "launch.h"
#include "roi-maps.h"

#include <tuple>

namespace goshawk {
namespace {

RoiMaps pooled_map(void* data, at::IntArrayRef size, double scale, bool channels_last) {
  RoiMaps maps{};
  maps.data[0] = data;
  maps.scale[0] = scale;
  maps.images[0] = static_cast<int>(size[0]);
  maps.channels = static_cast<int>(size[1]);
  maps.height[0] = static_cast<int>(size[2]);
  maps.width[0] = static_cast<int>(size[3]);
  maps.count = 1;
  maps.channels_last = channels_last ? 1 : 0;
  return maps;
}

at::Tensor boxes_on_card(const at::Tensor& rois, at::ScalarType type) {
  return rois.to(type == at::kDouble ? at::kDouble : at::kFloat).contiguous();
}

std::tuple<at::Tensor, at::Tensor> roi_pool_on_card(
    const at::Tensor& input, const at::Tensor& rois, double spatial_scale, int64_t pooled_height,
    int64_t pooled_width) {
  check_pooled(input, rois, pooled_height, pooled_width);
  const bool channels_last = input.suggest_memory_format() == at::MemoryFormat::ChannelsLast;
  const at::Tensor map = input.contiguous(format_of(channels_last));
  const std::vector<int64_t> size{rois.size(0), input.size(1), pooled_height, pooled_width};
  at::Tensor output = at::empty(size, input.options(), format_of(channels_last));
  at::Tensor argmax = at::empty(size, input.options().dtype(at::kInt), format_of(channels_last));
  if (output.numel() > 0) {
    const at::Tensor boxes = boxes_on_card(rois, input.scalar_type());
    const RoiBins bins{static_cast<int>(pooled_height), static_cast<int>(pooled_width), 0, 0, 0};
    launch_kernel(
        {"roi-pool", "roi_pool_maxima", input.scalar_type()}, one_thread_each(output.numel()), output,
        pooled_map(map.data_ptr(), input.sizes(), spatial_scale, channels_last), bins, boxes.data_ptr(), output.numel(),
        output.data_ptr(), argmax.data_ptr<int32_t>());
  }
  return {output, argmax};
}

at::Tensor roi_pool_backward_on_card(
    const at::Tensor& grad, const at::Tensor& argmax, const at::Tensor& rois, at::IntArrayRef input_size,
    bool channels_last, bool deterministic) {
  check_pooled_gradient(grad, argmax, input_size);
  const auto type = grad.scalar_type();
  const at::Tensor source = grad.contiguous(format_of(channels_last));
  const at::Tensor where = argmax.contiguous(format_of(channels_last));
  const at::Tensor boxes = boxes_on_card(rois, type);
  const RoiBins bins{static_cast<int>(grad.size(2)), static_cast<int>(grad.size(3)), 0, 0, 0};
  const LaunchShape threads = one_thread_each(source.numel());
  const int64_t count = input_size[0] * input_size[1] * input_size[2] * input_size[3];
  at::Tensor values;
  if (source.numel() == 0) {
    values = at::zeros({count}, grad.options());
  } else if (deterministic) {
    const FixedPointSums sums = fixed_point_sums(source, count, rois.size(0) * grad.size(2) * grad.size(3));
    launch_kernel(
        {"roi-pool", "roi_pool_gradient_fixed", type}, threads, source,
        pooled_map(sums.data(), input_size, 1.0, channels_last), bins, boxes.data_ptr(), source.numel(),
        source.data_ptr(), where.data_ptr<int32_t>(), sums.peak.data_ptr<double>(), sums.term_bits);
    values = values_of(sums, type);
  } else {
    const at::Tensor sums = at::zeros({count}, grad.options().dtype(boxes.scalar_type()));
    launch_kernel(
        {"roi-pool", "roi_pool_gradient", type}, threads, source,
        pooled_map(sums.data_ptr(), input_size, 1.0, channels_last), bins, boxes.data_ptr(), source.numel(),
        source.data_ptr(), where.data_ptr<int32_t>());
    values = sums.to(type);
  }
  if (!channels_last) {
    return values.view(input_size);
  }
  return values.view({input_size[0], input_size[2], input_size[3], input_size[1]}).permute({0, 3, 1, 2});
}

} // namespace

void implement_roi_pool(torch::Library& m) {
  m.impl("roi_pool", TORCH_FN(roi_pool_on_card));
  m.impl("roi_pool_backward", TORCH_FN(roi_pool_backward_on_card));
}

} // namespace goshawk
