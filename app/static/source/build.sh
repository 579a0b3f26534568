#!/bin/sh
# Makes ../graphiql-5.4.0 and ../LICENSES.txt from what `npm install` brought.
set -eu
cd "$(dirname "$0")"
out=../graphiql-5.4.0
common="--bundle --format=esm --minify --legal-comments=none --target=es2022 --outdir=$out"
rm -rf "$out"
npx esbuild page.jsx $common --entry-names=graphiql --asset-names=[name] --jsx=automatic --loader:.ttf=file \
  --define:process.env.NODE_ENV='"production"' --metafile=page.meta.json
npx esbuild node_modules/monaco-editor/esm/vs/editor/editor.worker.js \
  node_modules/monaco-editor/esm/vs/language/json/json.worker.js \
  node_modules/monaco-graphql/esm/graphql.worker.js $common --entry-names=[name] --metafile=workers.meta.json
node licences.mjs page.meta.json workers.meta.json > ../LICENSES.txt
rm page.meta.json workers.meta.json
