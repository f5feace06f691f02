// One step of stochastic gradient descent for all parameters at once in a single pass over memory: an operator at a time the
// same arithmetic passes over it three times, parameter by parameter.
#include "optimizer-steps.h"

#include <torch/library.h>

namespace goshawk {
namespace {

/** v = momentum v + share (g + weight_decay p), the first velocity being zeros; then p moves by -lr along it. */
struct SgdRule {
  double lr, momentum, share, weight_decay;
  bool nesterov;
};

struct SgdFactors {
  float momentum, share, decay, kept, back, ahead;
  bool shares, decays, nesterov;
};

/** In the order of the operators below, for the same bits. */
template <bool kShares, bool kDecays, bool kNesterov>
void sgd_range(float* __restrict p, const float* __restrict g, float* __restrict v, int64_t count, const SgdFactors& given) {
  const SgdFactors f = given;
  for (int64_t i = 0; i < count; ++i) {
    float velocity =
        kShares ? add_product(v[i] * f.momentum, g[i], f.share) : add_product(g[i], v[i], f.momentum);
    if (kDecays) velocity = add_product(velocity, p[i], f.decay);
    v[i] = velocity;
    if (kNesterov) {
      const float start = kDecays ? p[i] * f.kept : p[i];
      p[i] = add_product(add_product(start, g[i], f.back), velocity, f.ahead);
    } else {
      p[i] = add_product(p[i], velocity, f.back);
    }
  }
}

void sgd_range_without_momentum(float* __restrict p, const float* __restrict g, int64_t count, const SgdFactors& given) {
  const SgdFactors f = given;
  if (f.decays) {
    for (int64_t i = 0; i < count; ++i) p[i] = add_product(p[i] * f.kept, g[i], f.back);
  } else {
    for (int64_t i = 0; i < count; ++i) p[i] = add_product(p[i], g[i], f.back);
  }
}

using SgdRange = void (*)(float*, const float*, float*, int64_t, const SgdFactors&);

SgdRange sgd_range_for(const SgdFactors& f) {
  static constexpr SgdRange kRanges[] = {
      sgd_range<false, false, false>, sgd_range<false, false, true>, sgd_range<false, true, false>,
      sgd_range<false, true, true>,   sgd_range<true, false, false>, sgd_range<true, false, true>,
      sgd_range<true, true, false>,   sgd_range<true, true, true>};
  return kRanges[4 * f.shares + 2 * f.decays + f.nesterov];
}

void sgd_by_operators(const at::Tensor& parameter, const at::Tensor& gradient, const SgdRule& rule) {
  if (rule.weight_decay != 0) parameter.mul_(1 - rule.lr * rule.weight_decay);
  parameter.add_(gradient, -rule.lr);
}

void sgd_by_operators(
    const at::Tensor& parameter, const at::Tensor& gradient, const at::Tensor& velocity, const SgdRule& rule) {
  if (rule.share == 1) {
    at::Tensor out = velocity;
    at::add_out(out, gradient, velocity, rule.momentum);
  } else {
    velocity.mul_(rule.momentum).add_(gradient, rule.share);
  }
  if (rule.weight_decay != 0) velocity.add_(parameter, rule.weight_decay * rule.share);
  if (rule.nesterov) sgd_by_operators(parameter, gradient, rule);
  parameter.add_(velocity, rule.nesterov ? -rule.lr * rule.momentum : -rule.lr);
}

struct SgdPlace {
  float* parameter;
  const float* gradient;
  float* velocity;
};

void sgd_steps(
    at::TensorList parameters, at::TensorList gradients, at::TensorList velocities, double lr, double momentum,
    double share, double weight_decay, bool nesterov) {
  const bool moving = momentum != 0;
  TORCH_CHECK(
      gradients.size() == parameters.size() && velocities.size() == (moving ? parameters.size() : 0),
      "sgd_steps_: ", parameters.size(), " parameters, ", gradients.size(), " gradients, ", velocities.size(),
      " velocities");
  const SgdRule rule{lr, momentum, share, weight_decay, nesterov};
  std::vector<SgdPlace> places;
  std::vector<int64_t> ends;
  int64_t total = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const at::Tensor& parameter = parameters[i];
    const bool one_pass = is_plain_float(parameter) && lie_alike(parameter, gradients[i]) &&
        (!moving || lie_alike(parameter, velocities[i]));
    if (one_pass) {
      total += parameter.numel();
      ends.push_back(total);
      places.push_back({
          parameter.data_ptr<float>(), gradients[i].data_ptr<float>(), moving ? velocities[i].data_ptr<float>() : nullptr});
      mark_changed(parameter);
      if (moving) mark_changed(velocities[i]);
    } else if (moving) {
      sgd_by_operators(parameter, gradients[i], velocities[i], rule);
    } else {
      sgd_by_operators(parameter, gradients[i], rule);
    }
  }
  const SgdFactors factors{
      static_cast<float>(momentum),
      static_cast<float>(share),
      static_cast<float>(weight_decay * share),
      static_cast<float>(1 - lr * weight_decay),
      static_cast<float>(-lr),
      static_cast<float>(-lr * momentum),
      share != 1,
      weight_decay != 0,
      nesterov};
  const SgdRange range = sgd_range_for(factors);
  for_all_elements(ends, [&](size_t index, int64_t first, int64_t count) {
    const auto [p, g, v] = places[index];
    if (v == nullptr) {
      sgd_range_without_momentum(p + first, g + first, count, factors);
    } else {
      range(p + first, g + first, v + first, count, factors);
    }
  });
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CPU, m) {
  m.impl("sgd_steps_", TORCH_FN(goshawk::sgd_steps));
}
