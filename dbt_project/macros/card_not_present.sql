{# Counts and amounts of card and ATM payments by whether the holder was there, turned into shares; `counted` has the month. #}
{% macro card_not_present_shares(counted) %}
    select
        {{ counted }}.*,
        {{ neopulse.share('payments_not_present', 'payments_known') }} as share_by_count,
        {{ neopulse.wilson_low('payments_not_present', 'payments_known') }} as share_low,
        {{ neopulse.wilson_high('payments_not_present', 'payments_known') }} as share_high,
        {{ neopulse.share('amount_not_present_usd', 'amount_known_usd') }} as share_by_amount,
        {{ neopulse.month_end(counted ~ '.month') }} as final_on,
        {{ neopulse.month_end(counted ~ '.month') }} > publication.as_of as is_provisional,
    from {{ counted }}
    cross join publication
{% endmacro %}

{# The counts and amounts that the shares are made of. #}
{% macro card_not_present_columns() %}
    {{ return([
        'payments_known', 'payments_not_present', 'payments_unknown', 'amount_known_usd', 'amount_not_present_usd', 'amount_unknown_usd',
    ]) }}
{% endmacro %}
