// Pairwise IoU on a card; defined in kernels/match-anchors.cc.
#include "device-operators.h"
#include "kernels/boxes.h"
#include "launch.h"

namespace goshawk {
namespace {

at::Tensor box_iou_on_card(const at::Tensor& a, const at::Tensor& b, bool plus_one) {
  check_boxes("box_iou", "a", a);
  check_boxes("box_iou", "b", b);
  const bool is_double = a.scalar_type() == at::kDouble || b.scalar_type() == at::kDouble;
  const at::Tensor rows = a.to(is_double ? at::kDouble : at::kFloat).contiguous();
  const at::Tensor columns = b.to(rows.scalar_type()).contiguous();
  at::Tensor result = at::empty({rows.size(0), columns.size(0)}, rows.options());
  const auto launch = [&](auto extra) {
    using T = decltype(extra);
    launch_kernel(
        {"box-overlap", "box_iou", rows.scalar_type()}, one_thread_each(result.numel()), result,
        static_cast<const T*>(rows.data_ptr<T>()), static_cast<const T*>(columns.data_ptr<T>()), rows.size(0),
        columns.size(0), extra, result.data_ptr<T>());
  };
  if (is_double) {
    launch(plus_one ? 1.0 : 0.0);
  } else {
    launch(plus_one ? 1.0f : 0.0f);
  }
  return result;
}

} // namespace

void implement_box_overlap(torch::Library& m) {
  m.impl("box_iou", TORCH_FN(box_iou_on_card));
}

} // namespace goshawk
