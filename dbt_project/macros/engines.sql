{# What differs between DuckDB and BigQuery lives here, but for what is about increments (incremental.sql) and how DuckDB makes relations
   (materializations.sql). No model knows. #}

{# A DuckDB file holds the schemas by their names; in a project of BigQuery the prefix of the settings stands before them. #}
{% macro generate_schema_name(custom_schema_name, node) %}
    {{- neopulse.schema_name(custom_schema_name | trim) if custom_schema_name else target.schema -}}
{% endmacro %}

{% macro schema_name(name) %}{{ return(target.schema ~ '_' ~ name if target.type == 'bigquery' else name) }}{% endmacro %}

{% macro try_convert(expression, type) %}{{ return(adapter.dispatch('try_convert', 'neopulse')(expression, type)) }}{% endmacro %}
{% macro default__try_convert(expression, type) %}safe_cast({{ expression }} as {{ type }}){% endmacro %}
{% macro duckdb__try_convert(expression, type) %}try_cast({{ expression }} as {{ type }}){% endmacro %}

{# Cents and fractions of them, exact: 14 digits before the point. A NUMERIC of BigQuery is rounded to nine digits first, then 1.23454999999999
   becomes 1.2346; DuckDB reads `1_000`, BigQuery does not. #}
{% macro read_money(text) %}{{ return(adapter.dispatch('read_money', 'neopulse')(text)) }}{% endmacro %}
{% macro default__read_money(text) -%}
    {%- set amount = 'round(safe_cast(' ~ text ~ ' as bignumeric), 4)' -%}
    case when abs({{ amount }}) < 100000000000000 then cast({{ amount }} as numeric) end
{%- endmacro %}
{% macro duckdb__read_money(text) %}case when not contains({{ text }}, '_') then try_cast({{ text }} as decimal(18, 4)) end{% endmacro %}

{# A number with or without a fraction. Refused is what only one of the engines reads: `1_980` is DuckDB's, `0x7bc` BigQuery's. #}
{% macro read_number(text) %}{{ return(adapter.dispatch('read_number', 'neopulse')(text)) }}{% endmacro %}
{% macro default__read_number(text) %}safe_cast(if(regexp_contains({{ text }}, '[xX]'), null, {{ text }}) as float64){% endmacro %}
{% macro duckdb__read_number(text) %}case when not contains({{ text }}, '_') then try_cast({{ text }} as double) end{% endmacro %}

{# A UTC moment, without a zone, from any of the bank's spellings: `... UTC`, `+00:00`, or none, which is UTC. `plain` is the
   column that holds the text's read_plain_moment, where it was read before. #}
{% macro read_moment(text, plain=none) %}{{ return(adapter.dispatch('read_moment', 'neopulse')(text, plain or neopulse.read_plain_moment(text))) }}{% endmacro %}
{% macro default__read_moment(text, plain) %}{{ plain }}{% endmacro %}
{# What most banks write is told from the rest by its places alone, and read by the plain cast, which takes any zone for UTC: a year of four
   digits, no `24:00` (read as the day after), no zone but UTC. A sign behind the ninth letter is not one of the date (`2018-3-9`). Two
   conditions with `or` are asked one after the other, those with `not` around both at once: only moments that can be midnight are looked at. #}
{% macro duckdb__read_moment(text, plain) %}
    coalesce(
        case
            when position('-' in {{ text }}) = 5 and {{ plain }} >= timestamp '1000-01-01'
                and (epoch_us({{ plain }}) & 8191 <> 0 or not contains({{ text }}, '24:00'))
                then case
                    when suffix({{ text }}, ' UTC') or suffix({{ text }}, '+00:00') then {{ plain }}
                    when array_extract({{ text }}, -1) between '0' and '9'
                        then case
                            when not contains({{ text }}, '+') and not contains(substr({{ text }}, 9), '-') then {{ plain }}
                            when regexp_matches({{ text }}, '[0-9][+-](0[0-9]|1[0-3])(:?[0-5][0-9])?$') then {{ neopulse.zoned_moment(text) }}
                        end
                    when suffix({{ text }}, 'Z') and array_extract({{ text }}, -2) between '0' and '9' then {{ plain }}
                end
        end,
        {{ neopulse.seldom_written_moment(text) }}
    )
{% endmacro %}

{% macro zoned_moment(text) %}timezone('UTC', try_cast({{ text }} as timestamp with time zone)){% endmacro %}

{# As BigQuery reads a text: refused is what it refuses, and the rest written as DuckDB reads it, hours of a zone with two digits. #}
{% macro seldom_written_moment(text) -%}
    {%- set day, hour = '0?[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}', '(?:[01]?[0-9]|2[0-3]):[0-9]{1,2}(?::[0-9]{1,2}(?:[.][0-9]+)?)?' -%}
    {%- set offset = '[+-](?:(?:0?[0-9]|1[0-3])(?::?[0-5][0-9])?|14(?::?00)?)' -%}
    {%- set name = '[A-Z]{2,3}|[A-Z][a-z]+|[A-Z]{2,3}[0-9-][0-9A-Z-]*|GMT[+]0|GB-Eire|W-SU|(?:[A-Z][a-z]+|US)/[A-Z][A-Za-z0-9/_+-]*' -%}
    {%- set blanks = '[\\s\\pZ]*' -%}
    {%- set written = '^' ~ blanks ~ '(' ~ day ~ ')(?:[ Tt](' ~ hour ~ ')(?:[Zz]|(?: UTC)?(' ~ offset ~ ')|( (?:' ~ name ~ ')))?)?' ~ blanks ~ '$' -%}
    case
        when regexp_matches({{ text }}, '{{ written }}')
            and not regexp_matches({{ text }}, ' ({{ neopulse.zones_of_no_atlas() | join('|') }}){{ blanks }}$')
            then {{ neopulse.zoned_moment(
                "regexp_replace(trim(regexp_replace(" ~ text ~ ", '" ~ written ~ "', '\\1 \\2\\3\\4')), '([0-9][+-])([0-9])(:|$)', '\\10\\2\\3')"
            ) }}
    end
{%- endmacro %}

{# Zones that DuckDB knows and the IANA does not, so BigQuery neither. Of three letters it guesses: BST is that of Bangladesh to it, IST that of India. #}
{% macro zones_of_no_atlas() %}
    {{ return([
        'ACT', 'AET', 'AGT', 'ART', 'AST', 'BET', 'BST', 'CAT', 'CNT', 'CST', 'CTT', 'EAT', 'ECT', 'IET', 'IST', 'JST', 'MIT', 'NET', 'NST',
        'PLT', 'PNT', 'PRT', 'PST', 'SST', 'VST', 'SystemV/.*', 'US/Pacific-New', 'Canada/East-Saskatchewan', 'Etc/Unknown',
    ]) }}
{% endmacro %}

{# The moment that a text says if it is of UTC. #}
{% macro read_plain_moment(text) %}{{ return(adapter.dispatch('read_plain_moment', 'neopulse')(text)) }}{% endmacro %}
{# BigQuery reads the zone as well, and asks for seconds; no blanks around a moment, and no digits after the microseconds. The part of a row is
   the day of this (pipeline/sources/bigquery.py). #}
{% macro default__read_plain_moment(text) -%}
    datetime(safe_cast(regexp_replace(
        regexp_replace(trim({{ text }}), r'([.][0-9]{6})[0-9]+', r'\1'), r'^([0-9-]+[ Tt][0-9]+:[0-9]+)([^0-9:.]|$)', r'\1:00\2'
    ) as timestamp))
{%- endmacro %}
{% macro duckdb__read_plain_moment(text) %}try_cast({{ text }} as timestamp){% endmacro %}

{# The bank's local date of such a moment, on both engines from 0001-01-01 to 9999-12-31: the first and the last day do not depend on the zone. #}
{% macro bank_day(moment) %}{{ return(adapter.dispatch('bank_day', 'neopulse')(moment)) }}{% endmacro %}
{% macro default__bank_day(moment) -%}
    case
        when {{ moment }} < datetime '0001-01-02 00:00:00' then date '0001-01-01'
        when {{ moment }} >= datetime '9999-12-31 00:00:00' then date '9999-12-31'
        else date(timestamp({{ moment }}), '{{ var("bank_timezone") }}')
    end
{%- endmacro %}
{# The time zone is looked up only where the day depends on it; that is an hour a day for a zone with summer time. The day itself, the one after and
   the one before are told by the time of day. DuckDB knows days outside of the calendar of BigQuery, and infinity: nobody's days. #}
{% macro duckdb__bank_day(moment) %}
    {%- set least, most = var('bank_offset_minutes') -%}
    {%- set minute = '(epoch_us(' ~ moment ~ ') % 86400000000 // 60000000)' -%}
    {%- set looked_up = "cast(timezone('" ~ var("bank_timezone") ~ "', timezone('UTC', " ~ moment ~ ")) as date)" -%}
    case
        when {{ moment }} >= timestamp '9999-12-31'
            then case when {{ moment }} < timestamp '10000-01-01' then date '9999-12-31' end
        when {{ moment }} < timestamp '0001-01-02'
            then case when {{ moment }} >= timestamp '0001-01-01' then date '0001-01-01' end
        when {{ moment }} < timestamp '1970-01-01' or {{ moment }} is null then {{ looked_up }}
        when {{ minute }} >= {{ -least }} and {{ minute }} < {{ 1440 - most }} then cast({{ moment }} as date)
        {%- if least > 0 %}
        when {{ minute }} >= {{ 1440 - least }} then cast({{ moment }} as date) + 1
        {%- endif %}
        {%- if most < 0 %}
        when {{ minute }} < {{ -most }} then cast({{ moment }} as date) - 1
        {%- endif %}
        else {{ looked_up }}
    end
{% endmacro %}

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

{# Some columns of a row as one text. #}
{% macro columns_as_text(columns) %}{{ return(adapter.dispatch('columns_as_text', 'neopulse')(columns)) }}{% endmacro %}
{% macro default__columns_as_text(columns) %}to_json_string(struct({{ columns | join(', ') }})){% endmacro %}
{% macro duckdb__columns_as_text(columns) -%}
    cast(to_json(struct_pack({% for column in columns %}{{ column }} := {{ column }}{{ ', ' if not loop.last }}{% endfor %})) as varchar)
{%- endmacro %}

{# One of those columns again. #}
{% macro text_in(row, column) %}{{ return(adapter.dispatch('text_in', 'neopulse')(row, column)) }}{% endmacro %}
{% macro default__text_in(row, column) %}json_value({{ row }}, '$.{{ column }}'){% endmacro %}
{% macro duckdb__text_in(row, column) %}json_extract_string({{ row }}, '$.{{ column }}'){% endmacro %}

{# The place of a word in a list, from 1; null where it is not in it. DuckDB looks each different text up once, where the file has them numbered. #}
{% macro place_of(text, words) %}{{ return(adapter.dispatch('place_of', 'neopulse')(text, words)) }}{% endmacro %}
{% macro default__place_of(text, words) -%}
    case {{ text }}{% for word in words %} when '{{ word }}' then {{ loop.index }}{% endfor %} end
{%- endmacro %}
{% macro duckdb__place_of(text, words) %}cast(list_position(['{{ words | join("', '") }}'], {{ text }}) as tinyint){% endmacro %}

{# The word at a place, which may be null. #}
{% macro word_at(words, place) %}{{ return(adapter.dispatch('word_at', 'neopulse')(words, place)) }}{% endmacro %}
{% macro default__word_at(words, place) -%}
    case {{ place }}{% for word in words %} when {{ loop.index }} then '{{ word }}'{% endfor %} end
{%- endmacro %}
{% macro duckdb__word_at(words, place) %}list_extract(['{{ words | join("', '") }}'], {{ place }}){% endmacro %}

{# A small number, for one of a short list. #}
{% macro code_type() %}{{ return(adapter.dispatch('code_type', 'neopulse')()) }}{% endmacro %}
{% macro default__code_type() %}int64{% endmacro %}
{% macro duckdb__code_type() %}tinyint{% endmacro %}

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

{# 60 bits of a text's MD5, the same number on both engines. #}
{% macro text_number(text) %}{{ return(adapter.dispatch('text_number', 'neopulse')(text)) }}{% endmacro %}
{% macro default__text_number(text) %}cast(concat('0x', substr(to_hex(md5({{ text }})), 1, 15)) as int64){% endmacro %}
{% macro duckdb__text_number(text) %}cast('0x' || substr(md5({{ text }}), 1, 15) as bigint){% endmacro %}

{# Adds up to the same for the same rows in any order: to notice that rows differ. #}
{% macro fingerprint(columns) %}{{ return(adapter.dispatch('fingerprint', 'neopulse')(columns)) }}{% endmacro %}
{% macro default__fingerprint(columns) %}sum(mod(farm_fingerprint(to_json_string(struct({{ columns | join(', ') }}))), 4294967296)){% endmacro %}
{% macro duckdb__fingerprint(columns) %}cast(sum(cast(hash({{ columns | join(', ') }}) >> 32 as bigint)) as bigint){% endmacro %}

{# The 32 neighbours that a whole number belongs to, and the bit that stands for it among them. #}
{% macro bucket(number) %}{{ return(adapter.dispatch('bucket', 'neopulse')(number)) }}{% endmacro %}
{% macro default__bucket(number) %}div({{ number }}, 32){% endmacro %}
{% macro duckdb__bucket(number) %}({{ number }} // 32){% endmacro %}

{% macro bit_in_bucket(number) %}{{ return(adapter.dispatch('bit_in_bucket', 'neopulse')(number)) }}{% endmacro %}
{% macro default__bit_in_bucket(number) %}(1 << abs(mod({{ number }}, 32))){% endmacro %}
{% macro duckdb__bit_in_bucket(number) %}(1::bigint << abs({{ number }} % 32)::integer){% endmacro %}

{# `2018-03` of a date. #}
{% macro month_text(date) %}substr(cast({{ date }} as {{ dbt.type_string() }}), 1, 7){% endmacro %}

{% macro float_type() %}{{ return(adapter.dispatch('float_type', 'neopulse')()) }}{% endmacro %}
{% macro default__float_type() %}float64{% endmacro %}
{% macro duckdb__float_type() %}double{% endmacro %}

{# What a statement is labelled with: the application, the run, those of the settings, and the model. #}
{% macro query_labels(node) %}
    {%- set labels = fromjson(env_var('DBT_LABELS', '{}')) -%}
    {%- if node -%}{%- do labels.update({'model': node.name}) -%}{%- endif -%}
    {{ return(tojson(labels)) }}
{% endmacro %}
