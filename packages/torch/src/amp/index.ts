export * from './autocast.js';
export * from './grad-scaler.js';
export * from './half-products.js';
