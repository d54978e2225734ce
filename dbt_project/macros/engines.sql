{# What differs between DuckDB and BigQuery lives here and nowhere else. #}

{# A DuckDB file holds the schemas by their names; in a project of BigQuery the prefix of the settings stands before them. #}
{% macro generate_schema_name(custom_schema_name, node) %}
    {{- neopulse.schema_name(custom_schema_name | trim) if custom_schema_name else target.schema -}}
{% endmacro %}

{% macro schema_name(name) %}{{ return(target.schema ~ '_' ~ name if target.type == 'bigquery' else name) }}{% endmacro %}

{% macro try_convert(expression, type) %}{{ return(adapter.dispatch('try_convert', 'neopulse')(expression, type)) }}{% endmacro %}
{% macro default__try_convert(expression, type) %}safe_cast({{ expression }} as {{ type }}){% endmacro %}
{% macro duckdb__try_convert(expression, type) %}try_cast({{ expression }} as {{ type }}){% endmacro %}

{# Cents and fractions of them, exact: 14 digits before the point. #}
{% macro read_money(text) %}{{ return(adapter.dispatch('read_money', 'neopulse')(text)) }}{% endmacro %}
{% macro default__read_money(text) -%}
    {%- set amount = 'round(safe_cast(' ~ text ~ ' as numeric), 4)' -%}
    case when abs({{ amount }}) < 100000000000000 then {{ amount }} end
{%- endmacro %}
{% macro duckdb__read_money(text) %}try_cast({{ text }} as decimal(18, 4)){% endmacro %}

{# A UTC moment from any of the bank's spellings: `... UTC`, `+00:00`, or none, which is UTC. #}
{% macro read_moment(text) %}{{ return(adapter.dispatch('read_moment', 'neopulse')(text)) }}{% endmacro %}
{# BigQuery reads no blanks around a moment and no digits after the microseconds. #}
{% macro default__read_moment(text) %}safe_cast(regexp_replace(trim({{ text }}), r'([.][0-9]{6})[0-9]+', r'\1') as timestamp){% endmacro %}
{% macro duckdb__read_moment(text) %}try_cast({{ text }} as timestamp with time zone){% endmacro %}

{# The bank's local date of a UTC moment. #}
{% macro bank_day(moment) %}{{ return(adapter.dispatch('bank_day', 'neopulse')(moment)) }}{% endmacro %}
{% macro default__bank_day(moment) %}date({{ moment }}, '{{ var("bank_timezone") }}'){% endmacro %}
{% macro duckdb__bank_day(moment) %}cast({{ moment }} at time zone '{{ var("bank_timezone") }}' as date){% endmacro %}

{% macro days_between(first_date, last_date) %}{{ return(adapter.dispatch('days_between', 'neopulse')(first_date, last_date)) }}{% endmacro %}
{% macro default__days_between(first_date, last_date) %}date_diff({{ last_date }}, {{ first_date }}, day){% endmacro %}
{% macro duckdb__days_between(first_date, last_date) %}cast({{ last_date }} - {{ first_date }} as integer){% endmacro %}

{% macro add_days(date, days) %}{{ return(adapter.dispatch('add_days', 'neopulse')(date, days)) }}{% endmacro %}
{% macro default__add_days(date, days) %}date_add({{ date }}, interval {{ days }} day){% endmacro %}
{% macro duckdb__add_days(date, days) %}({{ date }} + cast({{ days }} as integer)){% endmacro %}

{% macro add_months(date, months) %}{{ return(adapter.dispatch('add_months', 'neopulse')(date, months)) }}{% endmacro %}
{% macro default__add_months(date, months) %}date_add({{ date }}, interval {{ months }} month){% endmacro %}
{% macro duckdb__add_months(date, months) %}cast({{ date }} + to_months(cast({{ months }} as integer)) as date){% endmacro %}

{% macro month_start(date) %}cast(date_trunc({{ neopulse.period_words('month', date) }}) as date){% endmacro %}
{# Weeks begin on Monday on both engines. #}
{% macro week_start(date) %}cast(date_trunc({{ neopulse.period_words('week', date) }}) as date){% endmacro %}

{% macro period_words(period, date) %}{{ return(adapter.dispatch('period_words', 'neopulse')(period, date)) }}{% endmacro %}
{% macro default__period_words(period, date) %}{{ date }}, {{ 'isoweek' if period == 'week' else period }}{% endmacro %}
{% macro duckdb__period_words(period, date) %}'{{ period }}', {{ date }}{% endmacro %}

{% macro month_end(date) %}{{ neopulse.add_days(neopulse.add_months(neopulse.month_start(date), 1), -1) }}{% endmacro %}

{# To cross join: one row a day, both ends included; `name` names the column, which is cast to a date where it is selected. #}
{% macro each_day(first_date, last_date, name) %}{{ return(adapter.dispatch('each_day', 'neopulse')(first_date, last_date, name)) }}{% endmacro %}
{% macro default__each_day(first_date, last_date, name) %}unnest(generate_date_array({{ first_date }}, {{ last_date }})) as {{ name }}{% endmacro %}
{% macro duckdb__each_day(first_date, last_date, name) -%}
    unnest(generate_series({{ first_date }}, {{ last_date }}, interval 1 day)) as generated ({{ name }})
{%- endmacro %}

{% macro row_as_text(relation_alias) %}{{ return(adapter.dispatch('row_as_text', 'neopulse')(relation_alias)) }}{% endmacro %}
{% macro default__row_as_text(relation_alias) %}to_json_string({{ relation_alias }}){% endmacro %}
{% macro duckdb__row_as_text(relation_alias) %}cast(to_json({{ relation_alias }}) as varchar){% endmacro %}

{% macro text_hash(text) %}{{ return(adapter.dispatch('text_hash', 'neopulse')(text)) }}{% endmacro %}
{% macro default__text_hash(text) %}(abs(mod(farm_fingerprint({{ text }}), 4611686018427387904))){% endmacro %}
{% macro duckdb__text_hash(text) %}cast(hash({{ text }}) >> 2 as bigint){% endmacro %}

{% macro has_digits(text) %}{{ return(adapter.dispatch('has_digits', 'neopulse')(text)) }}{% endmacro %}
{% macro default__has_digits(text) %}regexp_contains({{ text }}, r'[0-9]'){% endmacro %}
{% macro duckdb__has_digits(text) %}regexp_matches({{ text }}, '[0-9]'){% endmacro %}

{# `select * ` without some columns. #}
{% macro without() %}{{ return(adapter.dispatch('without', 'neopulse')(varargs)) }}{% endmacro %}
{% macro default__without(columns) %}except ({{ columns | join(', ') }}){% endmacro %}
{% macro duckdb__without(columns) %}exclude ({{ columns | join(', ') }}){% endmacro %}

{# Whole months from one month's first day to another's. #}
{% macro months_between(first_month, last_month) -%}
    (
        (extract(year from {{ last_month }}) - extract(year from {{ first_month }})) * 12
        + extract(month from {{ last_month }}) - extract(month from {{ first_month }})
    )
{%- endmacro %}

{% macro weeks_between(first_week, last_week) -%}
    cast(round({{ neopulse.days_between(first_week, last_week) }} / 7) as integer)
{%- endmacro %}

{% macro float_type() %}{{ return(adapter.dispatch('float_type', 'neopulse')()) }}{% endmacro %}
{% macro default__float_type() %}float64{% endmacro %}
{% macro duckdb__float_type() %}double{% endmacro %}
