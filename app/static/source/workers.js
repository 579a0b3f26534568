const files = { json: 'json.worker.js', graphql: 'graphql.worker.js' };
globalThis.MonacoEnvironment = {
  getWorker: (_, label) => new Worker(new URL(files[label] ?? 'editor.worker.js', import.meta.url), { type: 'module' }),
};
