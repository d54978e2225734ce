{# Daily runs cost what changed. Everything dated is built by suffix: rows dated before `changed_from` stay, the others are computed again.

   A run may build on the last one when that one ended well under the same settings (the warehouse's prepare() says so by the
   variable `previous_as_of`); else dbt is told --full-refresh and none of this applies. #}
{% macro builds_on_the_last_run() %}{{ return(var('previous_as_of') | length > 0 and not flags.FULL_REFRESH) }}{% endmacro %}

{# A day before every other: nothing is kept. #}
{% macro beginning() %}cast('1900-01-01' as date){% endmacro %}

{# A column of a window that this run has already built (change_window, cube_window), as a date literal: partitions can be skipped. #}
{% macro window_start(window, column) -%}
    {%- if execute and neopulse.builds_on_the_last_run() -%}
        cast('{{ run_query('select ' ~ column ~ ' from ' ~ window).columns[0].values()[0] }}' as date)
    {%- else -%}
        {{ neopulse.beginning() }}
    {%- endif -%}
{%- endmacro %}

{# The first bank day on which a transaction differs from those of the last run; depends on the model change_window. #}
{% macro changed_from() %}{{ return(neopulse.window_start(ref('change_window'), 'changed_from')) }}{% endmacro %}

{# The same for what is counted by segment: the beginning, where a customer has moved to another segment. #}
{% macro cubes_changed_from() %}{{ return(neopulse.window_start(ref('cube_window'), 'changed_from')) }}{% endmacro %}

{# as_of, where the run builds on the last one; depends on the model dim_publication. #}
{% macro as_of_of_this_run() %}{{ return(neopulse.window_start(ref('dim_publication'), 'as_of')) }}{% endmacro %}

{# Whether all that is new is dated after everything that was there: sums may then be carried on. #}
{% macro only_appends() -%}
    {%- set window = ref('change_window') -%}
    {%- if execute and neopulse.builds_on_the_last_run() -%}
        {{ return(run_query('select only_appends from ' ~ window).columns[0].values()[0]) }}
    {%- else -%}
        {{ return(false) }}
    {%- endif -%}
{%- endmacro %}

{# Hooks that run before the new rows are added. A build by hand on tables that are there would take none of their customers for changed. #}
{% macro forget(condition) -%}
    {%- if is_incremental() -%}
        {%- if execute and not neopulse.builds_on_the_last_run() -%}
            {%- do exceptions.raise_compiler_error('a build on the tables of another needs the variable previous_as_of, or --full-refresh; `neopulse run` gives dbt either') -%}
        {%- endif -%}
        delete from {{ this }} where {{ condition }}
    {%- endif -%}
{%- endmacro %}

{% macro forget_days(column) %}{{ neopulse.forget(column ~ ' >= ' ~ neopulse.changed_from()) }}{% endmacro %}

{% macro forget_cube_days(column) %}{{ neopulse.forget(column ~ ' >= ' ~ neopulse.cubes_changed_from()) }}{% endmacro %}

{% macro forget_months(column) %}{{ neopulse.forget(column ~ ' >= ' ~ neopulse.month_start(neopulse.changed_from())) }}{% endmacro %}

{% macro forget_cube_months(column) %}{{ neopulse.forget(column ~ ' >= ' ~ neopulse.month_start(neopulse.cubes_changed_from())) }}{% endmacro %}

{# Keep what the table says now, for a later model to compare with. #}
{% macro remember(name, columns) %}
    {%- if execute and neopulse.builds_on_the_last_run() and load_relation(this) is not none -%}
        create or replace table {{ neopulse.before(name) }} as select {{ columns }} from {{ this }}
    {%- endif -%}
{% endmacro %}

{% macro before(name) %}{{ return(api.Relation.create(database=target.database, schema=neopulse.schema_name('raw'), identifier=name ~ '_before')) }}{% endmacro %}

{# A table beside this one as the last run left it: only for what it is made from, so that this run replaces it later. #}
{% macro of_the_last_run(name) %}{{ return(this.incorporate(path={'identifier': name})) }}{% endmacro %}

{# Whether the bank's table has changed since the last run; what was made from an unchanged one stays as it is. #}
{% macro has_changed(table) %}{{ return(not neopulse.builds_on_the_last_run() or table in var('changed_tables')) }}{% endmacro %}

{% macro forget_if_changed(table) %}{% if neopulse.has_changed(table) %}{{ neopulse.forget('true') }}{% endif %}{% endmacro %}

{% macro rows_if_changed(table) %}{% if is_incremental() and not neopulse.has_changed(table) %}where false{% endif %}{% endmacro %}

{# What makes up a transaction that can be used, in the bank's words, for comparing copies. #}
{% macro transaction_content() %}
    {{ return([
        'transaction_key', 'transaction_id_text', 'customer_key', 'user_id_text', 'created_at', 'transaction_date', 'transaction_type',
        'transaction_state', 'amount_usd', 'is_card_holder_present', 'merchant_country', 'doubt',
    ]) }}
{% endmacro %}

{# The order of copies of one moment that no rule tells apart: by what the bank wrote of the same content. A key may be a hash, another one on
   each engine, which put nulls on different sides, too. #}
{% macro order_of_content() %}
    {{ return([
        'coalesce(user_id_text, cast(customer_key as ' ~ dbt.type_string() ~ '))',
        "coalesce(transaction_type, '')",
        "coalesce(transaction_state, '')",
        'case when amount_usd is null then 2 else 1 end',
        'amount_usd',
        'case when is_card_holder_present then 1 when not is_card_holder_present then 2 else 3 end',
        "coalesce(merchant_country, '')",
        "coalesce(doubt, '')",
    ]) }}
{% endmacro %}

{# What makes up a typed transaction, for comparing days. #}
{% macro typed_content() %}
    {{ return([
        'transaction_key', 'transaction_id_text', 'customer_key', 'user_id_text', 'created_at', 'transaction_date', 'transaction_type_code',
        'transaction_state_code', 'amount_usd', 'is_card_holder_present', 'merchant_country', 'doubt_code', 'rejection_code', 'source_row',
    ]) }}
{% endmacro %}

{# Bank day, rows and fingerprint of the typed rows that are in changed parts. #}
{% macro days_of_changed_parts(typed_transactions) %}
    select
        transaction_date,
        count(*) as transactions,
        {{ neopulse.fingerprint(neopulse.typed_content()) }} as fingerprint
    from {{ typed_transactions }}
    where {{ neopulse.in_changed_parts() }}
    group by transaction_date
{% endmacro %}

{# Of typed transactions: the rows of changed parts. #}
{% macro in_changed_parts() %}{{ return(adapter.dispatch('in_changed_parts', 'neopulse')()) }}{% endmacro %}

{% macro duckdb__in_changed_parts() %}source_part in (select source_part from {{ source('bank', 'changed_parts') }}){% endmacro %}

{# BigQuery passes over the partitions of other days only where it is told the days: a part is the UTC day of the row's moment, from the first
   (-719162: 0001-01-01) to the last of its calendar (2932896), so the bank's day is at most the day beside it; rows without a day are in none. #}
{% macro default__in_changed_parts() -%}
    {%- set parts = source('bank', 'changed_parts') -%}
    source_part in (select source_part from {{ parts }})
    {%- if execute and neopulse.builds_on_the_last_run() %}
        {%- set days = run_query(
            'select string_agg(distinct format("date \'%t\'", date_from_unix_date(greatest(-719162, least(2932896, source_part + beside)))), ", ") '
            ~ 'as days from ' ~ parts ~ ' cross join unnest([-1, 0, 1]) as beside where source_part >= -719162'
        ).columns[0].values()[0] %}
        and (transaction_date is null{% if days %} or transaction_date in ({{ days }}){% endif %})
    {%- endif -%}
{%- endmacro %}

{# The last day whose copies of a transaction take the place of earlier ones: as_of where it is pinned, else the last day that is over. as_of is
   never after it, and no copy that takes a place is dated between the two. #}
{% macro last_day_of_copies() -%}
    {%- if var('as_of') -%}
        cast('{{ var("as_of") }}' as date)
    {%- else -%}
        {{ neopulse.add_days("cast('" ~ var('current_bank_day') ~ "' as date)", -1) }}
    {%- endif -%}
{%- endmacro %}

{# The numbers of transactions whose copies may count otherwise than in the last run: they have a row in a changed part, or were repeated and had
   one there, or had a copy of a day that has come to count or counts no more. `before` has what was repeated in the last run. #}
{% macro transaction_keys_to_look_at(before) %}
    select transaction_key
    from {{ ref('typed_transactions') }}
    where rejection_code is null and {{ neopulse.in_changed_parts() }}
    union all
    select transaction_key
    from {{ before }}
    where source_part in (select source_part from {{ source('bank', 'changed_parts') }})
        or transaction_date > least(cast('{{ var("previous_as_of") }}' as date), {{ neopulse.last_day_of_copies() }})
{% endmacro %}

{# The days on which those of them stand that are repeated now, as a condition; on DuckDB it is not worth a look. #}
{% macro on_days_of_repeated_keys() %}{{ return(adapter.dispatch('on_days_of_repeated_keys', 'neopulse')()) }}{% endmacro %}

{% macro duckdb__on_days_of_repeated_keys() %}true{% endmacro %}

{% macro default__on_days_of_repeated_keys() -%}
    {%- set typed = ref('typed_transactions') -%}
    {%- set days = run_query(
        'select string_agg(distinct format("date \'%t\'", transaction_date), ", ") as days from (select transaction_date, count(*) over '
        ~ '(partition by transaction_key) as copies from ' ~ typed ~ ' where rejection_code is null and transaction_key in ('
        ~ neopulse.transaction_keys_to_look_at(this) ~ ')) where copies > 1'
    ).columns[0].values()[0] if execute -%}
    {{ 'transaction_date in (' ~ days ~ ')' if days else 'false' }}
{%- endmacro %}

{% macro remember_days_of_changed_parts() %}
    {%- if is_incremental() -%}
        create or replace table {{ neopulse.before('days') }} as {{ neopulse.days_of_changed_parts(this) }}
    {%- endif -%}
{% endmacro %}

{# Of fct_customer_volumes: the rows of who has a transaction on a changed day now, or had one in the last run. #}
{% macro remember_volumes_of_changed_customers() %}
    {%- if is_incremental() -%}
        {%- set changed = neopulse.changed_from() -%}
        create or replace table {{ neopulse.before('volumes') }} as
        select *
        from {{ this }}
        where customer_key in (
            select customer_key from {{ ref('fct_transactions') }} where transaction_date >= {{ changed }}
            union all
            select customer_key from {{ this }} where last_date >= {{ changed }}
        )
    {%- endif -%}
{% endmacro %}

{# Of fct_breaks: the rows of who has other days, or another segment, than in the last run. #}
{% macro remember_breaks_of_changed_customers() %}
    {%- if is_incremental() -%}
        create or replace table {{ neopulse.before('breaks') }} as
        select *
        from {{ this }}
        where customer_key in (select customer_key from {{ ref('changed_customers') }})
    {%- endif -%}
{% endmacro %}

{# Whether the last run counted a transaction on the day or after it: none, where all that is new is dated after what was there. #}
{% macro has_volumes_of_days_from(day) -%}
    {{ return(run_query('select count(*) from ' ~ this ~ ' where last_date >= ' ~ day).columns[0].values()[0] > 0) }}
{%- endmacro %}

{# The bank's identifier of a typed transaction. #}
{% macro transaction_id(relation_alias) -%}
    coalesce(
        {{ relation_alias }}.transaction_id_text,
        concat('transaction_', cast({{ relation_alias }}.transaction_key as {{ dbt.type_string() }}))
    )
{%- endmacro %}
