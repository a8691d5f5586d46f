// k8s-strict.mjs FILE...: checks Kubernetes manifests for unknown fields and wrong types, against the models of
// @kubernetes/client-node (2.0.1: Kubernetes 1.36). Runs in a folder whose node_modules has it and yaml: ./dev test makes
// build/peers/npm one. (The package's main wants Node 22, its models do not.) Exit code 1 where something is wrong; kinds
// without a model are named and skipped.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const here = createRequire(pathToFileURL(process.cwd() + '/'));
const { parseAllDocuments } = here('yaml');
const models = await import(pathToFileURL(here.resolve('yaml').replace(/yaml\/dist.*$/, '@kubernetes/client-node/dist/gen/models/all.js')));

const capital = (word) => word[0].toUpperCase() + word.slice(1);
let problems = 0;
const report = (what) => { problems += 1; console.log(`  ${what}`); };

function modelName(apiVersion, kind) {
  const version = capital(apiVersion.split('/').pop());
  return [version + kind, `Core${version}${kind}`, `Events${version}${kind}`].find((name) => models[name]?.getAttributeTypeMap);
}

function check(value, type, path) {
  if (value === null || value === undefined) return;
  const list = /^Array<(.*)>$/.exec(type);
  if (list) {
    if (!Array.isArray(value)) report(`${path}: not a list`);
    else value.forEach((item, i) => check(item, list[1], `${path}[${i}]`));
    return;
  }
  const map = /^\{ \[key: string\]: (.*); \}$/.exec(type);
  if (map) {
    for (const key of Object.keys(value)) check(value[key], map[1], `${path}.${key}`);
    return;
  }
  const model = models[type];
  if (!model?.getAttributeTypeMap) {
    if (['number', 'string', 'boolean'].includes(type) && typeof value !== type) report(`${path}: wants ${type}, is ${typeof value}`);
    return;
  }
  const fields = Object.fromEntries(model.getAttributeTypeMap().map((field) => [field.baseName, field.type]));
  for (const key of Object.keys(value)) {
    if (key in fields) check(value[key], fields[key], `${path}.${key}`);
    else report(`${path}.${key}: unknown field`);
  }
}

for (const file of process.argv.slice(2)) {
  for (const doc of parseAllDocuments(readFileSync(file, 'utf8'))) {
    const object = doc.toJSON();
    if (!object) continue;
    const name = modelName(object.apiVersion, object.kind);
    console.log(`${name ? 'check' : 'skip '} ${file}: ${object.apiVersion} ${object.kind} ${object.metadata?.name ?? ''}`);
    if (name) check(object, name, object.kind);
  }
}
console.log(`problems: ${problems}`);
process.exit(problems ? 1 : 0);
