{# The activity rule: which transactions count. Data from the settings, never code. #}
{% macro counts_as_activity() %}
    transaction_state in ({{ neopulse.text_list(var('activity_states')) }})
    {%- if var('activity_excluded_types') %}
    and transaction_type not in ({{ neopulse.text_list(var('activity_excluded_types')) }})
    {%- endif %}
    {%- if var('activity_minimum_amount') | float > 0 %}
    and amount_usd >= {{ var('activity_minimum_amount') }}
    {%- endif %}
{% endmacro %}

{% macro text_list(words) %}{% for word in words %}'{{ word }}'{{ ', ' if not loop.last }}{% endfor %}{% endmacro %}

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

{# A whole number for joins and windows: the identifier itself where it is a number, else a negative hash of it. #}
{% macro customer_key(bare_id) %}
    case
        when cast({{ neopulse.try_convert(bare_id, 'bigint') }} as {{ dbt.type_string() }}) = {{ bare_id }}
            then {{ neopulse.try_convert(bare_id, 'bigint') }}
        when {{ bare_id }} is not null then -1 - {{ neopulse.text_hash(bare_id) }}
    end
{% endmacro %}

{# What the bank's systems are known to write; anything else is kept, counted and shown. #}
{% macro known_states() %}
    {{ return(['COMPLETED', 'DECLINED', 'REVERTED', 'FAILED', 'PENDING', 'CANCELLED']) }}
{% endmacro %}

{% macro known_types() %}
    {{ return(['CARD_PAYMENT', 'TRANSFER', 'TOPUP', 'EXCHANGE', 'ATM', 'CASHBACK', 'FEE', 'CARD_REFUND', 'TAX', 'REFUND']) }}
{% endmacro %}
