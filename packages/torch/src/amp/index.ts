export * from './autocast.js';
export * from './grad-scaler.js';
