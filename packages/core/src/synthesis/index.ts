export * from './scene.js';
export { type ShapeName, shapeNames, synthesisCategories } from './shapes.js';
