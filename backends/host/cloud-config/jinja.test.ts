// SPDX-License-Identifier: Apache-2.0
// What the real Jinja makes of the same templates is compared in test/hosts/cloud-init-differential.test.ts.
import { describe, expect, it } from 'vitest';
import { renderJinja } from './jinja.ts';

const METADATA = {
  instance_id: 'i-1',
  local_hostname: 'node-1',
  hostname: 'node-1',
  provider_id: 'tshost://default/host-1/0a1b2c3d',
};

const render = (template: string): string => renderJinja(`## template: jinja\n${template}`, METADATA);

describe('a template', () => {
  it.each([
    ['{{ ds.meta_data.local_hostname }}', 'node-1'],
    ['{{ v1.instance_id }} {{instance_id}}', 'i-1 i-1'],
    ["{{ ds['meta_data']['provider-id'] }}", 'tshost://default/host-1/0a1b2c3d'],
    ['{{ true }} {{ 1 + 1 }} {{ 1.5 }} {{ none is none }}', 'True 2 1.5 True'],
    ["{{ nothing | default('x') }}", 'x'],
    ["{{ 'a}}b' }}", 'a}}b'],
    ["{{ {'a': {'b': 'c'}}['a']['b'] }}", 'c'],
    ['a {# b #} c', 'a  c'],
    ['{% raw %}{{ x }}{% endraw %}', '{{ x }}'],
    ['a {%- raw -%} {{ x }} {%- endraw -%} b', 'a{{ x }}b'],
    ['{% if nothing %}a{% else %}b{% endif %}\n', 'b\n'],
    ['{% if nothing is defined %}\na\n{% endif %}\nb', 'b'],
    ['{% for x in [1, 2] %}\n{{ x }}\n{% endfor %}\n', '1\n2\n\n'],
    ['{% set x = 3 %}\n{{ x }}\n', '3\n'],
    ['a\n  {{- instance_id -}}  \nb', 'ai-1b'],
    ['a\r\nb\r', 'a\nb\n'],
    ['a\n\n', 'a\n\n'],
    ['${x%%.*} %}\n#}\n-}\nx', '${x%%.*} %}\n#}\n-}\nx'],
    ['{% generation %}'.replace('{%', '{ %'), '{ % generation %}'],
  ])('%j becomes %j', (template, text) => {
    expect(render(template)).toBe(text);
  });

  it.each([
    ['{{ ds.meta_data.zone }}', 'line 2: ds.meta_data.zone is not known'],
    ['x\n{{ unknown.a }}', 'line 3: unknown.a is not known'],
    ["{{ unknown['secret'] }}", 'line 2: a variable is not known'],
    ['{% if true %}{{ v1.region }}{% endif %}', 'v1.region is not known'],
    ['${#array[@]}', 'a tag is not closed'],
    ['{{ a', 'a tag is not closed'],
    ['{% raw %}', 'a tag is not closed'],
    ['{% macro m() %}{% endmacro %}', 'only if, for and set'],
    ['{% include "secret" %}', 'only if, for and set'],
    ['{% set x %}a{% endset %}', 'only if, for and set'],
    ['{{ instance_id | secret }}', 'Unknown'],
    ['{% if true %}', 'a tag cannot be rendered'],
    ['{{ ds.meta_data }}', 'prints something that is not a text'],
  ])('%j is refused: %s', (template, message) => {
    expect(() => render(template)).toThrow(message);
  });

  it('is only what says so', () => {
    expect(renderJinja('#cloud-config\na: {{ b }}\n', METADATA)).toBe('#cloud-config\na: {{ b }}\n');
    expect(() => renderJinja('## template: basic\na: $b\n', METADATA)).toThrow('not "jinja"');
  });

  it('lets nothing out of the interpreter', () => {
    for (const code of ['shown_.constructor', "instance_id['constructor']", 'v1.__proto__', 'v1.constructor'])
      expect(() => render(`{{ ${code} }}`)).toThrow('Jinja');
  });
});
