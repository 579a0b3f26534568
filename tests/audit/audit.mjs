// Runs the audit of graphql-http against a gateway: node audit.mjs URL TOKEN. Prints what fails, then how many pass.
import { auditServer } from 'graphql-http';

const [url, token] = process.argv.slice(2);
const fetchFn = (input, init = {}) => {
  const headers = new Headers(init.headers);
  headers.set('authorization', `Bearer ${token}`);
  return fetch(input, { ...init, headers });
};

const results = await auditServer({ url, fetchFn });
const failed = results.filter((result) => result.status !== 'ok');
for (const { id, name, status, reason } of failed) console.log(`${status} ${id} ${name}: ${reason}`);
console.log(`${results.length - failed.length}/${results.length}`);
process.exitCode = failed.length ? 1 : 0;
