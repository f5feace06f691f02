// Names of a module's properties in checkpoints.

/** A property's name in a state dict: `runningMean` is `running_mean`, `fc6` and `conv1` stay. */
export function stateName(property: string): string {
  return property.replace(/(?<=[a-z0-9])[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}
