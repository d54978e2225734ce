{# An identifier names one transaction. Only of few is each looked at alone: after an increment of those whose copies it looked at, else of
   those among 32 neighbouring numbers of which fewer are different than there are. All of them side by side do not fit in memory. #}
{% test no_transaction_counts_twice(model) %}
{%- if neopulse.builds_on_the_last_run() %}
-- joined, and not asked for by `in`: DuckDB would lay out all transactions to look the few keys up among them
with looked_at as (
    select distinct transaction_key
    from ({{ neopulse.transaction_keys_to_look_at(neopulse.before('repeated_transactions')) }}) as keys
)

select counted.transaction_key, counted.transaction_id_text, count(*) as transactions
from {{ model }} as counted
inner join looked_at on counted.transaction_key = looked_at.transaction_key
group by counted.transaction_key, counted.transaction_id_text
{%- else %}
select transaction_key, transaction_id_text, count(*) as transactions
from {{ model }}
where {{ neopulse.bucket('transaction_key') }} in (
    select {{ neopulse.bucket('transaction_key') }}
    from {{ model }}
    group by {{ neopulse.bucket('transaction_key') }}
    having count(*) > bit_count(bit_or({{ neopulse.bit_in_bucket('transaction_key') }}))
)
group by transaction_key, transaction_id_text
{%- endif %}
having count(*) > 1
{% endtest %}
