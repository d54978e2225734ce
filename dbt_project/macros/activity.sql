{# The activity rule: which transactions count. Data from the settings, never code. #}
{% macro counts_as_activity() %}
    {{ neopulse.is_one_of('transaction_state', var('activity_states')) }}
    {%- if var('activity_excluded_types') %}
    and not {{ neopulse.is_one_of('transaction_type', var('activity_excluded_types')) }}
    {%- endif %}
    {%- if var('activity_minimum_amount') | float > 0 %}
    and amount_usd >= {{ var('activity_minimum_amount') }}
    {%- endif %}
{% endmacro %}

{# `in (...)`, said so that DuckDB compares in place: a list of more than a few words it would join with. Null is none of them. #}
{% macro is_one_of(column, words) -%}
    case {{ column }}{% for word in words %} when '{{ word }}' then true{% endfor %} else false end
{%- endmacro %}

{# The rule in one line, as titles and exports carry it. #}
{% macro activity_rule() -%}
    {{ var('activity_states') | join(' or ') }} transactions
    {%- if var('activity_excluded_types') %}, not {{ var('activity_excluded_types') | join(', ') }}{% else %}, every type{% endif %}
    {%- if var('activity_minimum_amount') | float > 0 %}, at least {{ var('activity_minimum_amount') }} USD{% endif %}
{%- endmacro %}

{% macro inactivity_days() %}{{ var('inactivity_days') | int }}{% endmacro %}

{# `user_123` and `123` are the same customer; other identifiers stay as they are. #}
{% macro bare_user_id(text) %}
    nullif(case when starts_with(trim({{ text }}), 'user_') then substr(trim({{ text }}), 6) else trim({{ text }}) end, '')
{% endmacro %}

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
        when starts_with({{ text }}, 'user_') and {{ neopulse.is_written_as(number, neopulse.user_digits(text)) }} then {{ number }}
        else {{ neopulse.customer_key(neopulse.bare_user_id(text)) }}
    end
{% endmacro %}

{# The number of a transaction whose identifier is `transaction_` and a number, else a negative hash; `number` is that of its digits. #}
{% macro transaction_key_of_text(text, number) %}
    {%- set trimmed = neopulse.transaction_digits('trim(' ~ text ~ ')') %}
    case
        when starts_with({{ text }}, 'transaction_') and {{ neopulse.is_written_as(number, neopulse.transaction_digits(text)) }} then {{ number }}
        when starts_with(trim({{ text }}), 'transaction_') and {{ neopulse.is_written_as_number(trimmed) }}
            then {{ neopulse.try_convert(trimmed, dbt.type_bigint()) }}
        when nullif(trim({{ text }}), '') is not null then -1 - {{ neopulse.text_hash('trim(' ~ text ~ ')') }}
    end
{% endmacro %}

{% macro transaction_digits(text) %}{{ return('substr(' ~ text ~ ', 13)') }}{% endmacro %}

{% macro user_digits(text) %}{{ return('substr(' ~ text ~ ', 6)') }}{% endmacro %}

{% macro is_written_as_number(text) -%}
    {{ neopulse.is_written_as(neopulse.try_convert(text, dbt.type_bigint()), text) }}
{%- endmacro %}

{# Whether a text is what the number would be written as: no sign, no leading zero, no exponent. #}
{% macro is_written_as(number, text) -%}
    {{ number }} >= 0 and cast({{ number }} as {{ dbt.type_string() }}) = {{ text }}
{%- endmacro %}

{# What the bank's systems are known to write; anything else is kept, counted and shown. #}
{% macro known_states() %}
    {{ return(['COMPLETED', 'DECLINED', 'REVERTED', 'FAILED', 'PENDING', 'CANCELLED']) }}
{% endmacro %}

{% macro known_types() %}
    {{ return(['CARD_PAYMENT', 'TRANSFER', 'TOPUP', 'EXCHANGE', 'ATM', 'CASHBACK', 'FEE', 'CARD_REFUND', 'TAX', 'REFUND']) }}
{% endmacro %}

{# The shortest window that can be asked: gaps no longer than it are bridged by every window and are in no cube. #}
{% macro shortest_window_days() %}{{ [7, var('inactivity_days') | int] | min }}{% endmacro %}

{# How many customers a day must have had in the four weeks before, so that one without any is noticed. #}
{% macro customers_of_a_day_that_is_missed() %}20{% endmacro %}
