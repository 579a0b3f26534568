// Composes subgraphs: node compose.mjs < {"name": "SDL", ...}. Prints the supergraph's public schema, or what is wrong.
import { readFileSync } from 'node:fs';
import { composeServices, transformSupergraphToPublicSchema } from '@theguild/federation-composition';
import { parse, print } from 'graphql';

const given = JSON.parse(readFileSync(0, 'utf8'));
const services = Object.entries(given).map(([name, sdl]) => ({ name, url: `http://${name}`, typeDefs: parse(sdl) }));
const { supergraphSdl, errors = [] } = composeServices(services);
for (const error of errors) console.error(error.message);
if (supergraphSdl) console.log(print(transformSupergraphToPublicSchema(parse(supergraphSdl))));
process.exitCode = errors.length ? 1 : 0;
