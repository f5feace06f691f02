// Products of half types where the processor has none. The engine's own are loops there, ten to a hundred times as slow as float32's, and
// in some of its versions they round each sum to the half type as it grows, by which a sum of a thousand products is wrong by a tenth. So
// the engine's operators for the CPU get these in their place: what they read is widened, which changes no value, the sums are float32's,
// and each is rounded once.
#include "half-products.h"

#include <ATen/ops/addbmm_cpu_dispatch.h>
#include <ATen/ops/addmm_cpu_dispatch.h>
#include <ATen/ops/addmv_cpu_dispatch.h>
#include <ATen/ops/baddbmm_cpu_dispatch.h>
#include <ATen/ops/bmm_cpu_dispatch.h>
#include <ATen/ops/convolution_backward_compositeexplicitautograd_dispatch.h>
#include <ATen/ops/convolution_compositeexplicitautograd_dispatch.h>
#include <ATen/ops/dot_cpu_dispatch.h>
#include <ATen/ops/mm_cpu_dispatch.h>
#include <ATen/ops/vdot_cpu_dispatch.h>
#include <c10/util/Exception.h>
#include <torch/library.h>
#include <torch/version.h>

#include <array>
#include <string>
#include <tuple>

namespace goshawk::half_products {
namespace {

/** Types that differ are the engine's to complain of. */
bool are_widened(const at::Tensor& left, const at::Tensor& right) {
  return left.scalar_type() == right.scalar_type() && !multiplies(left.scalar_type());
}

at::Tensor& give(at::Tensor& out, const at::Tensor& result) {
  if (out.sizes() != result.sizes()) out.resize_(result.sizes());
  return out.copy_(result);
}

/** left times right, of one of the engine's operators. */
using Product = at::Tensor (*)(const at::Tensor&, const at::Tensor&);
using ProductOut = at::Tensor& (*)(const at::Tensor&, const at::Tensor&, at::Tensor&);

template <Product kOf>
at::Tensor product(const at::Tensor& left, const at::Tensor& right) {
  if (!are_widened(left, right)) return kOf(left, right);
  return kOf(widened(left), widened(right)).to(left.scalar_type());
}

template <Product kOf, ProductOut kOut>
at::Tensor& product_out(const at::Tensor& left, const at::Tensor& right, at::Tensor& out) {
  if (!are_widened(left, right)) return kOut(left, right, out);
  return give(out, product<kOf>(left, right));
}

/** beta * sum + alpha * left times right. */
using Sum = at::Tensor (*)(const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Scalar&, const at::Scalar&);
using SumOut = at::Tensor& (*)(
    const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Scalar&, const at::Scalar&, at::Tensor&);
using SumInto = at::Tensor& (*)(at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Scalar&, const at::Scalar&);

template <Sum kOf>
at::Tensor sum(
    const at::Tensor& added, const at::Tensor& left, const at::Tensor& right, const at::Scalar& beta,
    const at::Scalar& alpha) {
  if (!are_widened(left, right) || !are_widened(added, left)) return kOf(added, left, right, beta, alpha);
  return kOf(widened(added), widened(left), widened(right), beta, alpha).to(left.scalar_type());
}

template <Sum kOf, SumOut kOut>
at::Tensor& sum_out(
    const at::Tensor& added, const at::Tensor& left, const at::Tensor& right, const at::Scalar& beta,
    const at::Scalar& alpha, at::Tensor& out) {
  if (!are_widened(left, right) || !are_widened(added, left)) return kOut(added, left, right, beta, alpha, out);
  return give(out, sum<kOf>(added, left, right, beta, alpha));
}

template <Sum kOf, SumInto kInto>
at::Tensor& sum_into(
    at::Tensor& added, const at::Tensor& left, const at::Tensor& right, const at::Scalar& beta,
    const at::Scalar& alpha) {
  if (!are_widened(left, right) || !are_widened(added, left)) return kInto(added, left, right, beta, alpha);
  const at::Tensor result = sum<kOf>(added, left, right, beta, alpha);
  TORCH_CHECK(result.sizes() == added.sizes(), "a sum of sizes ", result.sizes(), " does not fit into ", added.sizes());
  return added.copy_(result);
}

at::Tensor convolution(
    const at::Tensor& input, const at::Tensor& weight, const c10::optional<at::Tensor>& bias, at::IntArrayRef stride,
    at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed, at::IntArrayRef output_padding, int64_t groups) {
  const bool has_bias = bias.has_value() && bias->defined();
  const auto convolve = [&](const at::Tensor& map, const at::Tensor& kernels, const c10::optional<at::Tensor>& offset) {
    return at::compositeexplicitautograd::convolution(
        map, kernels, offset, stride, padding, dilation, transposed, output_padding, groups);
  };
  if (!are_widened(input, weight) || (has_bias && !are_widened(input, *bias))) return convolve(input, weight, bias);
  return convolve(widened(input), widened(weight), has_bias ? c10::optional<at::Tensor>(widened(*bias)) : c10::nullopt)
      .to(input.scalar_type());
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> convolution_backward(
    const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight, at::OptionalIntArrayRef bias_sizes,
    at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
    at::IntArrayRef output_padding, int64_t groups, std::array<bool, 3> wanted) {
  const auto gradients = [&](const at::Tensor& slopes, const at::Tensor& map, const at::Tensor& kernels) {
    return at::compositeexplicitautograd::convolution_backward(
        slopes, map, kernels, bias_sizes, stride, padding, dilation, transposed, output_padding, groups, wanted);
  };
  if (!are_widened(gradient, input) || !are_widened(input, weight)) return gradients(gradient, input, weight);
  const auto [of_input, of_weight, of_bias] = gradients(widened(gradient), widened(input), widened(weight));
  const auto narrowed = [&](const at::Tensor& values) {
    return values.defined() ? values.to(input.scalar_type()) : values;
  };
  return {narrowed(of_input), narrowed(of_weight), narrowed(of_bias)};
}

/** The engine warns of every operator that gets another kernel. */
class Unheard : public c10::WarningHandler {
 public:
#if TORCH_VERSION_MAJOR < 2
  using Guard = c10::Warning::WarningHandlerGuard;
  void process(const c10::SourceLocation&, const std::string&, const bool) override {}
#else
  using Guard = c10::WarningUtils::WarningHandlerGuard;
  void process(const c10::Warning&) override {}
#endif
};

} // namespace
} // namespace goshawk::half_products

TORCH_LIBRARY_IMPL(aten, CPU, m) {
  using namespace goshawk::half_products;
  if (goshawk::multiplies(at::kBFloat16) && goshawk::multiplies(at::kHalf)) return;
  Unheard unheard;
  const Unheard::Guard guard(&unheard);
  m.impl("convolution", TORCH_FN(convolution));
  m.impl("convolution_backward", TORCH_FN(convolution_backward));
  m.impl("mm", TORCH_FN((product<at::cpu::mm>)));
  m.impl("mm.out", TORCH_FN((product_out<at::cpu::mm, at::cpu::mm_outf>)));
  m.impl("bmm", TORCH_FN((product<at::cpu::bmm>)));
  m.impl("bmm.out", TORCH_FN((product_out<at::cpu::bmm, at::cpu::bmm_outf>)));
  m.impl("dot", TORCH_FN((product<at::cpu::dot>)));
  m.impl("vdot", TORCH_FN((product<at::cpu::vdot>)));
  m.impl("addmm", TORCH_FN((sum<at::cpu::addmm>)));
  m.impl("addmm.out", TORCH_FN((sum_out<at::cpu::addmm, at::cpu::addmm_outf>)));
  m.impl("addmm_", TORCH_FN((sum_into<at::cpu::addmm, at::cpu::addmm_>)));
  m.impl("baddbmm", TORCH_FN((sum<at::cpu::baddbmm>)));
  m.impl("baddbmm.out", TORCH_FN((sum_out<at::cpu::baddbmm, at::cpu::baddbmm_outf>)));
  m.impl("baddbmm_", TORCH_FN((sum_into<at::cpu::baddbmm, at::cpu::baddbmm_>)));
  m.impl("addbmm", TORCH_FN((sum<at::cpu::addbmm>)));
  m.impl("addbmm.out", TORCH_FN((sum_out<at::cpu::addbmm, at::cpu::addbmm_outf>)));
  m.impl("addbmm_", TORCH_FN((sum_into<at::cpu::addbmm, at::cpu::addbmm_>)));
  m.impl("addmv", TORCH_FN((sum<at::cpu::addmv>)));
  m.impl("addmv.out", TORCH_FN((sum_out<at::cpu::addmv, at::cpu::addmv_outf>)));
  m.impl("addmv_", TORCH_FN((sum_into<at::cpu::addmv, at::cpu::addmv_>)));
}
