// Prints the licence of every package of which something is in the bundles.
import { readdirSync, readFileSync } from 'node:fs';

// The fonts come within GraphiQL's stylesheet, without their licences.
const folders = new Set(['node_modules/@fontsource/fira-code', 'node_modules/@fontsource/roboto']);
for (const file of process.argv.slice(2)) {
  for (const input of Object.keys(JSON.parse(readFileSync(file, 'utf8')).inputs)) {
    const [folder] = input.match(/^.*node_modules\/(@[^/]+\/)?[^/]+/) ?? [];
    if (folder) folders.add(folder);
  }
}

console.log('GraphiQL, as it is in this folder, is made of these packages.');
for (const folder of [...folders].sort()) {
  const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
  console.log(`\n${'='.repeat(100)}\n${name} ${version}: ${license}\n`);
  for (const file of readdirSync(folder).filter((file) => /^(licen[cs]e|notice|thirdparty)/i.test(file)).sort()) {
    console.log(readFileSync(`${folder}/${file}`, 'utf8').trim());
  }
}
