{# The activity rule: which transactions count. Data from the settings, never code. #}
{% macro counts_as_activity() %}
    {{ neopulse.is_a_word_of('transaction_state', neopulse.known_states(), var('activity_states')) }}
    {%- if var('activity_excluded_types') %}
    and not {{ neopulse.is_a_word_of('transaction_type', neopulse.known_types(), var('activity_excluded_types')) }}
    {%- endif %}
    {%- if var('activity_minimum_amount') | float > 0 %}
    and amount_usd >= {{ var('activity_minimum_amount') }}
    {%- endif %}
{% endmacro %}

{# Whether the column is one of some words: known ones by their number in `<column>_code`, others by their text. Null is UNKNOWN and no other. #}
{% macro is_a_word_of(column, known, words) -%}
    {%- set codes = [] -%}
    {%- for word in words if word in known %}{% do codes.append(known.index(word) + 1) %}{% endfor -%}
    (
        coalesce({{ column }}_code in ({{ (codes or [0]) | join(', ') }}), false)
        {%- for word in words if word not in known %} or coalesce({{ column }}, 'UNKNOWN') = '{{ word }}'{% endfor -%}
    )
{%- endmacro %}

{# The rule in one line, as titles and exports carry it, and word for word as the settings of a run say it. #}
{% macro activity_rule() -%}
    {{ var('activity_states') | join(' or ') }} transactions
    {%- if var('activity_excluded_types') %}, not {{ var('activity_excluded_types') | join(', ') }}{% else %}, every type{% endif %}
    {%- if var('activity_minimum_amount') | float > 0 %}, at least {{ '%.10g' % (var('activity_minimum_amount') | float) }} USD{% endif %}
{%- endmacro %}

{% macro inactivity_days() %}{{ var('inactivity_days') | int }}{% endmacro %}

{# `user_123` and `123` are the same customer, and so is `123.0`; other identifiers stay as they are. #}
{% macro bare_user_id(text) %}
    {%- set trimmed = neopulse.trimmed(text) %}
    {%- set bare = 'case when starts_with(' ~ trimmed ~ ", 'user_') then substr(" ~ trimmed ~ ', 6) else ' ~ trimmed ~ ' end' %}
    nullif({{ neopulse.without_point_zero(bare) }}, '')
{% endmacro %}

{# An identifier that went through a column of floats, as one with a missing value makes it: `17.0` is 17. #}
{% macro without_point_zero(text) -%}
    {%- set number = 'left(' ~ text ~ ', greatest(length(' ~ text ~ ') - 2, 0))' -%}
    case when ends_with({{ text }}, '.0') and {{ neopulse.is_written_as_number(number) }} then {{ number }} else {{ text }} end
{%- endmacro %}

{# A whole number for joins and windows: the identifier itself where it is written as a number is, else a negative hash of it. #}
{% macro customer_key(bare_id) %}
    case
        when {{ neopulse.is_written_as_number(bare_id) }} then {{ neopulse.try_convert(bare_id, dbt.type_bigint()) }}
        when {{ bare_id }} is not null then -1 - {{ neopulse.text_hash(bare_id) }}
    end
{% endmacro %}

{# The same of the raw text of a large table, whose digits were converted to `number`: nearly every row is `user_` and a number, and
   those need no trimming. #}
{% macro customer_key_of_text(text, number) %}
    case
        when {{ neopulse.is_prefix_and_number('user_', text, number) }} then {{ number }}
        else {{ neopulse.customer_key(neopulse.bare_user_id(text)) }}
    end
{% endmacro %}

{# The number of a transaction whose identifier is `transaction_` and a number, else a negative hash; `number` is that of its digits. #}
{% macro transaction_key_of_text(text, number) %}
    {%- set trimmed = neopulse.without_point_zero(neopulse.transaction_digits(neopulse.trimmed(text))) %}
    case
        when {{ neopulse.is_prefix_and_number('transaction_', text, number) }} then {{ number }}
        when starts_with({{ neopulse.trimmed(text) }}, 'transaction_') and {{ neopulse.is_written_as_number(trimmed) }}
            then {{ neopulse.try_convert(trimmed, dbt.type_bigint()) }}
        when nullif({{ neopulse.trimmed(text) }}, '') is not null
            then -1 - {{ neopulse.text_hash(neopulse.without_point_zero(neopulse.trimmed(text))) }}
    end
{% endmacro %}

{# Whether a text is a prefix and what the number would be written as; comparing once is quicker than prefix and digits apart. #}
{% macro is_prefix_and_number(prefix, text, number) -%}
    {{ number }} >= 0 and concat('{{ prefix }}', cast({{ number }} as {{ dbt.type_string() }})) = {{ text }}
{%- endmacro %}

{% macro transaction_digits(text) %}{{ return('substr(' ~ text ~ ', 13)') }}{% endmacro %}

{% macro user_digits(text) %}{{ return('substr(' ~ text ~ ', 6)') }}{% endmacro %}

{% macro is_written_as_number(text) -%}
    {{ neopulse.is_written_as(neopulse.try_convert(text, dbt.type_bigint()), text) }}
{%- endmacro %}

{# Whether a text is what the number would be written as: no sign, no leading zero, no exponent. #}
{% macro is_written_as(number, text) -%}
    {{ number }} >= 0 and cast({{ number }} as {{ dbt.type_string() }}) = {{ text }}
{%- endmacro %}

{# What the bank's systems are known to write; anything else is kept, counted and shown. A word's place in its list is its code in
   typed_transactions: eight columns of text took as long to write as all the rest. #}
{% macro known_states() %}
    {{ return(['COMPLETED', 'DECLINED', 'REVERTED', 'FAILED', 'PENDING', 'CANCELLED']) }}
{% endmacro %}

{% macro known_types() %}
    {{ return(['CARD_PAYMENT', 'TRANSFER', 'TOPUP', 'EXCHANGE', 'ATM', 'CASHBACK', 'FEE', 'CARD_REFUND', 'TAX', 'REFUND']) }}
{% endmacro %}

{# Of copies of one moment the state in the earlier group counts; one that nobody knows comes last. The first group ends a transaction
   without it. #}
{% macro states_by_weight() %}
    {{ return([['DECLINED', 'REVERTED', 'FAILED', 'CANCELLED'], ['COMPLETED'], ['PENDING']]) }}
{% endmacro %}

{# The number of a state's group, by its code. #}
{% macro place_of_state() -%}
    {%- set groups = neopulse.states_by_weight() -%}
    case
        {%- for group in groups %}
        {%- set codes = [] -%}
        {%- for state in group %}{% do codes.append(neopulse.code_of(state, neopulse.known_states())) %}{% endfor %}
        when transaction_state_code in ({{ codes | join(', ') }}) then {{ loop.index }}
        {%- endfor %}
        else {{ groups | length + 1 }}
    end
{%- endmacro %}

{# Why a transaction cannot be used, and what is doubtful about one that can; the first that holds is named. #}
{% macro rejection_reasons() %}
    {{ return(['missing_transaction_id', 'missing_user_id', 'unreadable_created_date', 'in_the_future', 'too_long_ago']) }}
{% endmacro %}

{% macro doubts() %}
    {{ return(['unreadable_amount', 'negative_amount', 'absurd_amount', 'unknown_state', 'unknown_type', 'missing_amount']) }}
{% endmacro %}

{% macro code_of(word, words) %}{{ return(words.index(word) + 1) }}{% endmacro %}

{# A type or state as text again: a known word by its code, another from the row as the bank wrote it. #}
{% macro word_of(column, words, source_column) -%}
    coalesce({{ neopulse.word_at(words, column ~ '_code') }}, {{ neopulse.clean_attribute(neopulse.text_in('source_row', source_column)) }})
{%- endmacro %}

{# Whether a transaction went through. #}
{% macro is_completed() %}transaction_state_code = {{ neopulse.code_of('COMPLETED', neopulse.known_states()) }}{% endmacro %}

{% macro clean_word(text) %}nullif(upper({{ neopulse.trimmed(text) }}), ''){% endmacro %}

{# The shortest window that can be asked: gaps no longer than it are bridged by every window and are in no cube. #}
{% macro shortest_window_days() %}{{ [7, var('inactivity_days') | int] | min }}{% endmacro %}

{# How many customers a day must have had in the four weeks before, so that one without any is noticed. #}
{% macro customers_of_a_day_that_is_missed() %}20{% endmacro %}

{# How many customers must be usual on a day, so that one with few is told: where fewer come, chance makes such days. #}
{% macro usual_customers_of_a_day_that_is_judged() %}50{% endmacro %}
