// Which rule of the optimizer a parameter falls under.
import { AffineChannel2d, BatchNorm2d, GroupNorm, LayerNorm, type Module, type Parameter } from '@goshawk/torch';

/**
 * norm: any parameter of a normalisation layer, its bias too. bias: a parameter called bias of any other layer.
 * weight: the rest. The kind follows from the layer, not from its name, by which mmdetection 1.x misses the norms of
 * projection shortcuts.
 */
export type ParameterKind = 'weight' | 'bias' | 'norm';

type NamedParameter = readonly [string, Parameter];

/** The learning parameters of `model` by kind, in the model's order; kinds without any are left out. */
export function learningParameters(model: Module): ReadonlyMap<ParameterKind, readonly NamedParameter[]> {
  const ofNorms = new Set(
    [...model.namedModules()].flatMap(([, module]) => (isNorm(module) ? module.parameters() : [])),
  );
  const kinds = new Map<ParameterKind, NamedParameter[]>();
  for (const [name, parameter] of model.namedParameters()) {
    if (!parameter.requiresGrad) continue;
    const kind = ofNorms.has(parameter) ? 'norm' : /(^|\.)bias$/.test(name) ? 'bias' : 'weight';
    const listed = kinds.get(kind);
    if (listed) listed.push([name, parameter]);
    else kinds.set(kind, [[name, parameter]]);
  }
  return kinds;
}

function isNorm(module: Module): boolean {
  return [AffineChannel2d, BatchNorm2d, GroupNorm, LayerNorm].some((norm) => module instanceof norm);
}
