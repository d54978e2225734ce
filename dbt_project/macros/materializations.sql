{# How DuckDB builds a relation: in its place, by one statement in one transaction. The adapter's own way builds beside it, asks for
   its columns and renames twice; for most of these models that takes longer than their rows (docs/decisions.md). Nobody reads the
   state while it is built, and a build that fails is built anew. On BigQuery the adapter's own way holds. #}

{% materialization table, adapter='duckdb' %}
    {{ return(neopulse.replaced('table', neopulse.filled_table(this))) }}
{% endmaterialization %}

{% materialization view, adapter='duckdb' %}
    {%- do neopulse.hold_to_the_contract() -%}
    {{ return(neopulse.replaced('view', 'create or replace view ' ~ this ~ ' as (' ~ compiled_code ~ ')')) }}
{% endmaterialization %}

{# What the pre-hooks forget is added anew. #}
{% materialization incremental, adapter='duckdb' %}
    {%- if not is_incremental() -%}
        {{ return(neopulse.replaced('table', neopulse.filled_table(this))) }}
    {%- endif -%}
    {{ return(neopulse.replaced('table', neopulse.more_rows(this))) }}
{% endmaterialization %}

{% macro replaced(type, sql) %}
    {%- if config.get('unique_key') -%}
        {%- do exceptions.raise_compiler_error(this.identifier ~ ': rows are forgotten by pre-hooks here; a unique_key would do nothing on DuckDB') -%}
    {%- endif -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- if existing is not none and existing.type != type %}{% do adapter.drop_relation(existing) %}{% endif -%}
    {%- do run_hooks(pre_hooks) -%}
    {%- call statement('main') %}{{ sql }}{% endcall -%}
    {%- do run_hooks(post_hooks) -%}
    {%- do adapter.commit() -%}
    {{ return({'relations': [this.incorporate(type=type)]}) }}
{% endmacro %}

{# That a model has exactly the columns of its contract is asked where it may have changed. #}
{% macro hold_to_the_contract() %}
    {%- if config.get('contract').enforced and not neopulse.builds_on_the_last_run() -%}
        {%- do get_assert_columns_equivalent(compiled_code) -%}
    {%- endif -%}
{% endmacro %}

{% macro filled_table(relation) %}
    {%- if not config.get('contract').enforced -%}
        {{ return('create or replace table ' ~ relation ~ ' as (' ~ compiled_code ~ ')') }}
    {%- endif -%}
    {%- if relation | string in compiled_code -%}
        {%- do exceptions.raise_compiler_error(relation.identifier ~ ': with a contract it is empty before it is read, so it cannot read itself') -%}
    {%- endif -%}
    {%- do neopulse.hold_to_the_contract() -%}
    {%- set declared = 'create or replace table ' ~ relation ~ ' ' ~ get_table_columns_and_constraints() -%}
    {{ return(declared ~ ';\n' ~ neopulse.more_rows(relation)) }}
{% endmacro %}

{% macro more_rows(relation) %}
    {%- set columns = model.columns.values() | map(attribute='name') | join(', ') if config.get('contract').enforced -%}
    {{ return('insert into ' ~ relation ~ (' (' ~ columns ~ ') select ' ~ columns ~ ' from (' ~ compiled_code ~ ')' if columns
        else ' by name (' ~ compiled_code ~ ')')) }}
{% endmacro %}
