// One step of Adam (Kingma and Ba 2015) or AdamW for all parameters at once in a single pass over memory: as operators the
// same arithmetic passes over it eight times, and for small networks took a fifth of a training step.
#include "optimizer-steps.h"

#include <torch/library.h>

namespace goshawk {
namespace {

struct AdamRule {
  /** Factor of the parameter before the step, and share of it that is added to the gradient. */
  double kept, decay;
  double beta1, beta2, eps;
};

struct AdamFactors {
  float kept, decay;
  /** 1 - beta1, beta2, 1 - beta2. */
  float newest, old_square, newest_square;
  float eps;
};

struct AdamPlace {
  float* parameter;
  const float* gradient;
  float* mean;
  float* square;
  float step_size, correction;
};

/** In the order of the engine's operators. */
template <bool kDecays>
void adam_range(
    float* __restrict parameter, const float* __restrict gradient, float* __restrict mean, float* __restrict square,
    int64_t count, float step_size, float correction, const AdamFactors& given) {
  const AdamFactors f = given;
  for (int64_t i = 0; i < count; ++i) {
    const float g = kDecays ? add_product(gradient[i], parameter[i], f.decay) : gradient[i];
    const float m = mean[i] + f.newest * (g - mean[i]);
    const float v = square[i] * f.old_square + f.newest_square * g * g;
    const float root = std::sqrt(v) / correction + f.eps;
    parameter[i] = parameter[i] * f.kept - step_size * m / root;
    mean[i] = m;
    square[i] = v;
  }
}

void adam_by_operators(
    const at::Tensor& parameter, const at::Tensor& gradient, const at::Tensor& mean, const at::Tensor& square,
    const at::Tensor& largest, const AdamRule& rule, double step_size, double correction) {
  const at::Tensor g = rule.decay == 0 ? gradient : gradient.add(parameter, rule.decay);
  if (rule.kept != 1) parameter.mul_(rule.kept);
  mean.lerp_(g, 1 - rule.beta1);
  square.mul_(rule.beta2).addcmul_(g, g, 1 - rule.beta2);
  if (largest.defined()) {
    at::Tensor out = largest;
    at::maximum_out(out, square, largest);
  }
  const at::Tensor root = (largest.defined() ? largest : square).sqrt().div_(correction).add_(rule.eps);
  parameter.addcdiv_(mean, root, -step_size);
}

/**
 * Per parameter: mean and square move towards the gradient, `decay` times the parameter added to it, and its square; then the
 * parameter, times `kept`, moves by -step_size * mean / (sqrt(square) / correction + eps). With `largest` (amsgrad) that
 * keeps the largest squares so far, which stand in the root.
 */
void adam_steps(
    at::TensorList parameters, at::TensorList gradients, at::TensorList means, at::TensorList squares,
    at::TensorList largest, at::ArrayRef<double> step_sizes, at::ArrayRef<double> corrections, double kept, double decay,
    double beta1, double beta2, double eps) {
  const size_t count = parameters.size();
  TORCH_CHECK(
      gradients.size() == count && means.size() == count && squares.size() == count && step_sizes.size() == count &&
          corrections.size() == count && (largest.empty() || largest.size() == count),
      "adam_steps_: lists of different lengths for ", count, " parameters");
  const AdamRule rule{kept, decay, beta1, beta2, eps};
  std::vector<AdamPlace> places;
  std::vector<int64_t> ends;
  int64_t total = 0;
  for (size_t i = 0; i < count; ++i) {
    const at::Tensor& parameter = parameters[i];
    // From 0.5 down the engine's lerp is another formula.
    const bool one_pass = largest.empty() && beta1 > 0.5 && is_plain_float(parameter) &&
        lie_alike(parameter, gradients[i]) && lie_alike(parameter, means[i]) && lie_alike(parameter, squares[i]);
    if (!one_pass) {
      adam_by_operators(
          parameter, gradients[i], means[i], squares[i], largest.empty() ? at::Tensor() : largest[i], rule,
          step_sizes[i], corrections[i]);
      continue;
    }
    total += parameter.numel();
    ends.push_back(total);
    places.push_back({
        parameter.data_ptr<float>(), gradients[i].data_ptr<float>(), means[i].data_ptr<float>(),
        squares[i].data_ptr<float>(), static_cast<float>(step_sizes[i]), static_cast<float>(corrections[i])});
    for (const at::Tensor* written : {&parameter, &means[i], &squares[i]}) mark_changed(*written);
  }
  const AdamFactors factors{
      static_cast<float>(kept),  static_cast<float>(decay),     static_cast<float>(1 - beta1),
      static_cast<float>(beta2), static_cast<float>(1 - beta2), static_cast<float>(eps)};
  const auto range = decay == 0 ? adam_range<false> : adam_range<true>;
  for_all_elements(ends, [&](size_t index, int64_t first, int64_t length) {
    const AdamPlace& at = places[index];
    range(
        at.parameter + first, at.gradient + first, at.mean + first, at.square + first, length, at.step_size,
        at.correction, factors);
  });
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CPU, m) {
  m.impl("adam_steps_", TORCH_FN(goshawk::adam_steps));
}
