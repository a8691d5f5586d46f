// Evaluates CEL for harness/cel.py: JSON in, JSON out. Runs in the folder of npm's packages.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const here = createRequire(pathToFileURL(`${process.cwd()}/`));
const { Environment } = await import(pathToFileURL(here.resolve('@marcbachmann/cel-js')));

const environment = new Environment({ unlistedVariablesAreDyn: true, homogeneousAggregateLiterals: false });
const whole = (key, value) => (typeof value === 'bigint' ? Number(value) : value);
const whatIs = (value) => (Number.isInteger(value) ? BigInt(value) : value);
const pods = (key, value) => whatIs(value);

const answers = JSON.parse(readFileSync(0, 'utf8'), pods).map(({ conditions, variables, result, object }) => {
  const context = { object, variables: {} };
  const matches = conditions.map((expression) => environment.evaluate(expression, context));
  for (const [name, expression] of variables) context.variables[name] = environment.evaluate(expression, context);
  return { matches, result: result && matches.every(Boolean) ? environment.evaluate(result, context) : null };
});
process.stdout.write(JSON.stringify(answers, whole));
