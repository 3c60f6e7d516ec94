// SPDX-License-Identifier: Apache-2.0
#include "host/cli/verbs.h"
#include "host/core/file.h"
#include "host/settings.h"

#define AT(member) offsetof(cli_render_options, member)

static const cli_option options_table[] = {
    {.name = "output",
     .letter = 'O',
     .kind = CLI_TEXT,
     .offset = AT(output),
     .value = "FILE",
     .doc = "write there instead of to standard output"},
    {.name = NULL},
};

static co_status write_yaml(cli_job *cli, const cli_render_options *o, const co_node *tree) {
  co_text yaml;
  co_text_init(&yaml, cli->ctx);
  co_status status = co_node_to_yaml(&yaml, tree);
  if (status == CO_OK && !o->output)
    co_text_append(&cli->text, yaml.data, yaml.length);
  else if (status == CO_OK && co_path_exists(o->output) && !o->common.force) {
    status = co_fail(CO_ERR_IO, "'%s' exists", o->output);
    co_hint("--force replaces it");
  } else if (status == CO_OK)
    status = co_write_file_atomic(cli->ctx, o->output, yaml.data, yaml.length);
  co_text_free(&yaml);
  return status;
}

static co_status render(cli_job *cli, const cli_render_options *o, const co_json *config) {
  if (config->text.status != CO_OK) return config->text.status;
  if (cli->as_json) {
    co_json_key(&cli->json, "config");
    co_json_raw(&cli->json, config->text.data);
    if (!o->output) return CO_OK;
  }
  co_node *tree;
  CO_RETURN_IF_FAILED(co_yaml_parse(&tree, cli->arena, "rendered config", config->text.data,
                                    config->text.length, &cli->problems));
  return write_yaml(cli, o, tree);
}

static co_status run(cli_job *cli, const void *options) {
  const cli_render_options *o = options;
  const cli_list *files = &o->common.configs, *sets = &o->common.sets;
  if (!files->count)
    return co_fail(CO_ERR_USAGE, "'cohort render-config' also needs --config FILE");
  co_node *root;
  co_trainer_settings settings;
  CO_RETURN_IF_FAILED(co_settings_read(&root, cli->arena, files->item, files->count, sets->item,
                                       sets->count, &cli->problems));
  CO_RETURN_IF_FAILED(co_settings_parse_trainer(&settings, root, cli->arena, &cli->problems));
  CO_RETURN_IF_FAILED(co_diagnostics_result(&cli->problems));
  co_json config;
  co_json_init(&config, cli->ctx, 0);
  co_status status = co_settings_render(&config, root, &settings);
  if (status == CO_OK) status = render(cli, o, &config);
  co_json_free(&config);
  return status;
}

const cli_verb cli_verb_render = {
    .name = "render-config",
    .aliases = "print-config dump-config",
    .usage = "-c CONFIG [-O FILE] [options]",
    .summary = "print a config with all defaults filled in",
    .common = CLI_CONFIG | CLI_FORCE,
    .options = options_table,
    .options_size = sizeof(cli_render_options),
    .run = run,
};
