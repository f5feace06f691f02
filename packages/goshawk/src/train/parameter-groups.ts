// Which rule of the optimizer a parameter falls under.
import { AffineChannel2d, BatchNorm2d, GroupNorm, LayerNorm, type Module, type Parameter } from '@goshawk/torch';

/**
 * norm: any parameter of a normalisation layer, its bias too. bias: a parameter called bias of any other layer.
 * weight: the rest. The kind follows from the layer, not from its name, by which mmdetection 1.x misses the norms of
 * projection shortcuts.
 */
export type ParameterKind = 'weight' | 'bias' | 'norm';

/** Parts of names of parameters that a rule of the config is for. */
export type NamedRule = { readonly names: readonly string[] };

export type NamedParameter = readonly [string, Parameter];

/** Of each rule the parameters whose name has one of its parts in it; the first rule that fits has them, others none. */
export function parametersByName<Rule extends NamedRule>(
  parameters: Iterable<NamedParameter>,
  rules: readonly Rule[],
): readonly (readonly [Rule, readonly NamedParameter[]])[] {
  const byRule = new Map<Rule, NamedParameter[]>(rules.map((rule) => [rule, []]));
  for (const parameter of parameters) {
    const rule = rules.find(({ names }) => names.some((part) => parameter[0].includes(part)));
    if (rule) byRule.get(rule)!.push(parameter);
  }
  return [...byRule].filter(([, own]) => own.length > 0);
}

/** The learning parameters of `model` by kind, in the model's order; kinds without any are left out. */
export function learningParameters(
  model: Module,
  { except = new Set() }: { readonly except?: ReadonlySet<Parameter> } = {},
): ReadonlyMap<ParameterKind, readonly NamedParameter[]> {
  const ofNorms = new Set(
    [...model.namedModules()].flatMap(([, module]) => (isNorm(module) ? module.parameters() : [])),
  );
  const kinds = new Map<ParameterKind, NamedParameter[]>();
  for (const [name, parameter] of model.namedParameters()) {
    if (!parameter.requiresGrad || except.has(parameter)) continue;
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
