// Keeps the page's files. They are taken from the network while there is one: a page is never older than its server.
export {};

/** Put in when the page is built: its files, but for the model. */
declare const PAGE_FILES: readonly string[];
declare const self: ServiceWorkerGlobalScope;

const KEPT = 'goshawk-page';

self.addEventListener('install', (event) => {
  event.waitUntil(keep().then(() => self.skipWaiting()));
});

self.addEventListener('activate', (event) => {
  event.waitUntil(self.clients.claim());
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method === 'GET' && new URL(request.url).origin === location.origin) event.respondWith(answer(request));
});

async function keep(): Promise<void> {
  const cache = await caches.open(KEPT);
  await cache.addAll(['./', ...PAGE_FILES]);
  // A page may have none.
  await cache.add('model.onnx').catch(() => undefined);
}

async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(KEPT);
  try {
    const fresh = await fetch(request);
    if (fresh.ok) await cache.put(request, fresh.clone());
    return fresh;
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}
